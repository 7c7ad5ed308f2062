# One image for coordinator, agent and command line. Both bases are arguments, so that a site can bring its own:
#   docker build -t switchyard .
#   docker build --build-arg BASE=registry.example/debian --build-arg NODE=registry.example/node -t switchyard .
# BASE: a Debian or a descendant of it. NODE: anything with npm, of the same processor; only used to install.
ARG BASE=debian:bookworm-slim
ARG NODE=node:24-bookworm-slim

# What the program depends on, and nothing else; no package needs a script or a compiler. The Node that it was tested with
# comes with them, and moves to where the base has its programs.
FROM ${NODE} AS install
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev \
  && mkdir -p /out/bin \
  && mv node_modules/node-linux-*/bin/node /out/bin/node \
  && rm -rf node_modules/node-linux-* node_modules/.bin \
  && mv node_modules /out/

FROM ${BASE}
# bubblewrap is the sandbox of agents, iproute2 and util-linux make its network and limits; ca-certificates are for steps that
# may use the network; tini reaps what steps leave behind. A base that has them needs no network here.
RUN for tool in bwrap ip setpriv tini; do command -v "$tool" >/dev/null || missing=yes; done; \
  [ -f /etc/ssl/certs/ca-certificates.crt ] || missing=yes; \
  if [ -n "${missing:-}" ]; then \
    apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates iproute2 tini util-linux \
    && rm -rf /var/lib/apt/lists/*; \
  fi \
  && groupadd --gid 10001 switchyard \
  && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/switchyard switchyard
COPY --from=install /out/bin/node /usr/local/bin/node
COPY --from=install /out/node_modules /app/node_modules
COPY . /app
# Fails where something is missing in the image; keeps what was compiled, so that starts are quick.
RUN ln -s /app/bin/switchyard.js /usr/local/bin/switchyard \
  && for part in coordinator agent run; do switchyard "$part" --help >/dev/null || exit 1; done
# What coordinator and agent keep, in directories of their own below it; mount a volume here.
VOLUME /var/lib/switchyard
USER 10001:10001
WORKDIR /var/lib/switchyard
# 7410: coordinator; 7411: data plane.
EXPOSE 7410 7411
# For a coordinator: whether its port answers. Run agents, which listen nowhere, with --no-healthcheck.
ENV HEALTH_PORT=7410
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["node", "-e", "require('node:net').connect(process.env.HEALTH_PORT, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"]
# SIGTERM, which "docker stop" sends, drains: give agents the time with --stop-timeout or --time.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "switchyard"]
CMD ["--help"]
