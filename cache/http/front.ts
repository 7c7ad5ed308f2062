import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { hostOf } from '../../base/address.ts';
import type { AuditSink } from '../../base/audit.ts';
import type { Evidence } from '../../base/auth.ts';
import type { Caller } from '../../base/caller.ts';
import { limitConnections, type ConnectionCounts, type ConnectionLimits } from '../../base/connection-limits.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault, wrap, type FaultCode } from '../../base/fault.ts';
import { openHttpServer } from '../../base/http-server.ts';
import type { ServerTls } from '../../base/server-tls.ts';
import type { StoreView } from '../store-view.ts';
import { bodyOf } from './body.ts';
import { evidenceOf } from './evidence.ts';
import { text, type FrontParts, type HttpAnswer } from './exchange.ts';
import type { Protocol } from './protocol.ts';
import { protocols } from './protocols.ts';

export type HttpFrontOptions = {
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  /** Who shows this. @throws {Fault} UNAUTHENTICATED, FORBIDDEN */
  readonly callerOf: (evidence: Evidence) => Promise<Caller>;
  /** What the caller may see under an instance name. @throws {Fault} FORBIDDEN, BAD_REQUEST */
  readonly viewOf: (instanceName: string, caller: Caller) => StoreView;
  /** Takes note of requests that are refused for who makes them. @default nobody */
  readonly audit?: AuditSink | undefined;
  readonly parts: FrontParts;
  /** @default in clear */
  readonly tls?: ServerTls | undefined;
  readonly bodyBytesMax: number;
  /** How long requests may go on after disposal has begun; then they are cut. */
  readonly drainMs: number;
  /** Hears of each request to a protocol when it has ended, with its time in ms. That nothing is kept under a key is `ok`. */
  readonly onCall?: ((name: string, outcome: 'ok' | FaultCode, ms: number) => void) | undefined;
  /** @default as `CONNECTION_LIMITS` */
  readonly connectionLimits?: Partial<ConnectionLimits> | undefined;
  /** Is kept up with the front's connections. @default nobody counts */
  readonly connections?: ConnectionCounts | undefined;
  readonly env: Env;
};

/** Build tools' own HTTP caches over the data plane's store. */
export interface HttpFront extends AsyncDisposable {
  /** host:port as bound. */
  readonly address: string;
}

const HEADERS_MS = 10_000;
/** A connection on which nothing moves for so long is cut: a body, an answer that nobody reads, or the wait for another request. */
const IDLE_MS = 60_000;
/** A refused request's body is read to its end up to this size, so that its client sees the answer; beyond it the connection is closed. */
const DRAINED_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Listens for the clients of `protocols.ts`. Who may do what is `viewOf`'s to say; a request is answered as its own protocol wants it.
 * @throws {Fault} CONFIG_INVALID where the address cannot be bound
 */
export async function openHttpFront(options: HttpFrontOptions): Promise<HttpFront> {
  const known = protocols();
  const answer = (waits: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    void respond(options, known, request, response, waits).catch((error: unknown) => {
      options.env.log.debug('http-answer-not-sent', { path: request.url, error });
      response.destroy();
    });
  };
  const farewell = (why: string) => (options.tls === undefined ? busy(why) : undefined); // nothing can be said before the handshake
  const limits = { headersTimeout: HEADERS_MS, requestTimeout: 0, keepAliveTimeout: IDLE_MS };
  const server = openHttpServer(limits, options.tls, answer(false));
  server.on('checkContinue', answer(true));
  server.timeout = IDLE_MS;
  limitConnections(server, { name: 'http', limits: options.connectionLimits, counts: options.connections, farewell, env: options.env });
  const port = await listening(server, options.listen);
  let closed: Promise<void> | undefined;
  return {
    address: `${hostOf(options.listen)}:${port}`,
    [Symbol.asyncDispose]: () => (closed ??= close(server, options.drainMs)),
  };
}

/** What a connection that is not taken is told. */
function busy(why: string): Uint8Array {
  const body = `Too many connections: ${why}\n`;
  const head = ['HTTP/1.1 503 Service Unavailable', 'connection: close', 'retry-after: 5', `content-length: ${Buffer.byteLength(body)}`];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

async function listening(server: Server, listen: string): Promise<number> {
  const host = hostOf(listen);
  if (host === undefined) throw new Fault('CONFIG_INVALID', `--http-listen must be host:port, got "${listen}"`, { field: 'httpListen' });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Fault('CONFIG_INVALID', `Cannot listen on ${listen}: ${error.message}`, { field: 'httpListen', cause: error })),
    );
    server.listen(Number(listen.slice(listen.lastIndexOf(':') + 1)), host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function close(server: Server, drainMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), drainMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function respond(
  options: HttpFrontOptions,
  known: readonly Protocol[],
  request: IncomingMessage,
  response: ServerResponse,
  waits: boolean,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Fault('CANCELLED', 'The client has its answer, or gave up on it')));
  const method = request.method ?? 'GET';
  const path = pathOf(request);
  const protocol = path === undefined ? undefined : known.find(({ pattern }) => pattern.test(path));
  if (path === undefined || protocol === undefined) {
    await send(request, response, text(404, 'Nothing is here: docs/http-caches.md has the URL for each tool\n'));
    return;
  }
  const named = protocol.pattern.exec(path)?.groups ?? {};
  const startedAt = options.env.clock.monotonic();
  const instance = named['instance'] ?? '';
  let caller: Caller | undefined;
  const view = async () => options.viewOf(instance, (caller = await options.callerOf(evidenceOf(request, options.tls))));
  let outcome: 'ok' | FaultCode = 'ok';
  try {
    let answer: HttpAnswer;
    try {
      answer =
        protocol.beforehand?.(method) ??
        (await protocol.answer(options.parts, {
          method,
          key: named['key'] ?? '',
          headers: request.headers,
          view: await view(),
          body: bodyOf(request, response, waits, options.bodyBytesMax, options.env.clock),
          signal: gone.signal,
        }));
    } catch (error) {
      noteRefused(options, `http-${protocol.name}/${method} ${instance}`.trimEnd(), caller, request, error);
      if (gone.signal.aborted) throw error;
      outcome = outcomeOf(error, false);
      answer = refusal(options, protocol, method, path, error);
    }
    await send(request, response, answer);
  } catch (error) {
    outcome = outcomeOf(error, gone.signal.aborted);
    throw error;
  } finally {
    options.onCall?.(`http-${protocol.name}`, outcome, options.env.clock.monotonic() - startedAt);
  }
}

function outcomeOf(error: unknown, isGone: boolean): FaultCode {
  if (isFault(error) && error.code !== 'INTERNAL') return error.code;
  return isGone ? 'CANCELLED' : 'INTERNAL';
}

function refusal({ env }: HttpFrontOptions, protocol: Protocol, method: string, path: string, error: unknown): HttpAnswer {
  const where = { protocol: protocol.name, method, path };
  if (!isFault(error) || error.code === 'INTERNAL') {
    env.log.error('http-request-failed', { ...where, error });
    return protocol.refusal(new Fault('INTERNAL', 'The request failed inside the server; its log says why'), method);
  }
  // Some clients are told less than what happened: then this is where it can be read.
  if (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN') env.log.debug('http-request-refused', { ...where, error });
  else env.log.warn('http-request-refused', { ...where, error });
  return protocol.refusal(error, method);
}

function noteRefused(
  { audit }: HttpFrontOptions,
  subject: string,
  caller: Caller | undefined,
  { socket: { remoteAddress = '', remotePort = 0 } }: IncomingMessage,
  error: unknown,
): void {
  if (!isFault(error, 'UNAUTHENTICATED') && !isFault(error, 'FORBIDDEN')) return;
  const peer = `${remoteAddress}:${remotePort}`;
  audit?.note({ act: 'call', outcome: 'refused', actor: caller?.name ?? '', subject, detail: error.message, peer });
}

/** The path without its query, each escape undone; undefined where it is none. */
function pathOf({ url = '' }: IncomingMessage): string | undefined {
  try {
    return decodeURIComponent(url.split('?')[0] ?? '');
  } catch {
    return undefined;
  }
}

async function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: HttpAnswer): Promise<void> {
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body === undefined ? 0 : body.bytes;
  const left = request.complete ? 0 : Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  response.writeHead(status, {
    'cache-control': 'no-store',
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="switchyard"' } : {}), // some clients show a password only when asked
    ...headers,
    ...(bytes === undefined || status === 204 ? {} : { 'content-length': String(bytes) }),
    ...(hasBody && left > DRAINED_BYTES_MAX ? { connection: 'close' } : {}),
  });
  if (request.method === 'HEAD' || body === undefined || typeof body === 'string') {
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  try {
    await pipeline(body.chunks, response);
  } catch (error) {
    throw wrap(error, 'Sending a body'); // its client sees that it is cut short
  }
}
