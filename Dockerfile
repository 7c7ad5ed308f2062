# One image for coordinator, agent and command line. Build it with a base that your site trusts:
#   docker build --build-arg BASE=debian:bookworm-slim -t switchyard .
#   docker run --rm switchyard coordinator --help
ARG BASE=debian:bookworm-slim
ARG NODE=node:24-bookworm-slim

# Dependencies of the program only. No package needs a script or a compiler to install.
FROM ${NODE} AS install
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional && npm cache clean --force

FROM ${NODE} AS node

FROM ${BASE}
# bubblewrap is the sandbox of agents; ca-certificates are for steps that may use the network.
RUN apt-get update \
  && apt-get install -y --no-install-recommends bubblewrap ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 switchyard \
  && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/switchyard switchyard
COPY --from=node /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=install /app/node_modules ./node_modules
COPY . .
# The data directory of coordinator, cache and agent; mount a volume here.
VOLUME /var/lib/switchyard
USER 10001:10001
WORKDIR /var/lib/switchyard
# 7410: coordinator; 7411: data plane.
EXPOSE 7410 7411
# For a coordinator: whether its port answers. Run agents, which listen nowhere, with --no-healthcheck.
ENV HEALTH_PORT=7410
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["node", "-e", "require('node:net').connect(process.env.HEALTH_PORT, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/switchyard.js"]
CMD ["--help"]
