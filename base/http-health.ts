import type { Server } from 'node:http';
import { hostOf, isLoopback } from './address.ts';
import { Fault } from './fault.ts';
import { openHttpServer } from './http-server.ts';
import type { Logger } from './log.ts';
import type { ServerTls } from './server-tls.ts';

/** One answer: what a probe or a collector of metrics reads. */
export type HttpAnswer = { readonly status: number; readonly contentType: string; readonly body: string };

/** What is answered to GET and HEAD of each path (`/livez`). A handler that throws is answered 500, and logged. */
export type HttpRoutes = Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;

export type HttpHealthOptions = {
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  readonly routes: HttpRoutes;
  /** Used off loopback only: probes and collectors of the host itself have no use for it. @default in clear */
  readonly tls?: Pick<ServerTls, 'source'> | undefined;
  readonly log: Logger;
};

export interface HttpHealth extends AsyncDisposable {
  /** host:port as bound. */
  readonly address: string;
}

/** Longest time for the headers of a request: whoever is slower is cut off. */
const HEADERS_MS = 5_000;
/** Probes and collectors are few. */
const CONNECTIONS_MAX = 256;

/**
 * A small HTTP server for probes and collectors, without credentials: it tells numbers and states, never contents.
 * @throws {Fault} CONFIG_INVALID where the address cannot be bound.
 */
export async function serveHttpHealth(options: HttpHealthOptions): Promise<HttpHealth> {
  const { routes, log, listen } = options;
  const tls = isLoopback(listen) ? undefined : options.tls;
  const server = openHttpServer({ headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS }, tls, (request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const answer = async (): Promise<HttpAnswer> => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'Only GET is answered here\n');
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
      return route === undefined ? text(404, `Nothing is here; there is ${Object.keys(routes).join(', ')}\n`) : await route();
    };
    answer()
      .catch((error: unknown) => {
        log.error('http-answer-failed', { path, error });
        return text(500, 'The answer failed; the log of the process says why\n');
      })
      .then(({ status, contentType, body }) => {
        response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
        response.end(request.method === 'HEAD' ? undefined : body);
      })
      .catch((error: unknown) => log.debug('http-answer-not-sent', { path, error }));
  });
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listening(server, listen);
  return {
    address: `${hostOf(listen)}:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** An answer in JSON, indented for people. */
export function json(status: number, value: unknown): HttpAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, undefined, 2)}\n` };
}

function text(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

async function listening(server: Server, listen: string): Promise<number> {
  const host = hostOf(listen);
  if (host === undefined) throw new Fault('CONFIG_INVALID', `The address must be host:port, got "${listen}"`, { field: 'metricsListen' });
  const port = Number(listen.slice(listen.lastIndexOf(':') + 1));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Fault('CONFIG_INVALID', `Cannot listen on ${listen}: ${error.message}`, { field: 'metricsListen', cause: error })),
    );
    server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), () => resolve());
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
