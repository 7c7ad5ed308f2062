import type { Http2SecureServer, Http2Server, ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { AuditSink } from '../base/audit.ts';
import type { Authenticator, Evidence } from '../base/auth.ts';
import { withDenials, type Denials } from '../base/denials.ts';
import type { Env } from '../base/env.ts';
import { Fault } from '../base/fault.ts';
import type { ServerTls } from '../base/server-tls.ts';
import { limitConnections, type ConnectionCounts, type ConnectionLimits } from '../base/connection-limits.ts';
import { withAdmission } from './admission.ts';
import { goawayBytes } from './goaway.ts';
import { inFront } from './in-front.ts';
import { loadDefinition } from './load.ts';
import { openOpenCalls } from './open-calls.ts';
import { RawCalls, type RawStreams } from './raw-calls.ts';
import { sparingWithStrangers } from './strangers.ts';
import { serverCredentials } from './tls.ts';

/** One service with its handlers: `{ definition: loadProto().switchyard.v1.Build.service, handlers }`. */
export type ServedService = {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
  /** Streams of bytes whose messages go past grpc-js. @default none */
  readonly raw?: RawStreams;
};

export type ServeOptions = {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly services: readonly ServedService[];
  /** Who calls; what each may call is in `proto/permissions.ts`. */
  readonly authenticator: Authenticator;
  /** @default in clear */
  readonly tls?: ServerTls | undefined;
  /** Who is refused, though the authenticator knows it. @default nobody */
  readonly denials?: Denials | undefined;
  /** Takes note of calls that are refused for who makes them. @default nobody */
  readonly audit?: AuditSink | undefined;
  readonly env: Env;
  /** How long calls may go on after disposal has begun; then they are cut. */
  readonly drainMs: number;
  /** @default as `CONNECTION_LIMITS` */
  readonly connectionLimits?: Partial<ConnectionLimits>;
  /** Is kept up with the server's connections. @default nobody counts */
  readonly connections?: ConnectionCounts;
};

export interface RunningServer extends AsyncDisposable {
  /** `host:port` as bound. */
  readonly address: string;
  /** What the health service answers, for the whole server and for each of its services. True from the start. */
  setServing(ok: boolean): void;
  /** What it answers for each service and for `ready`: whether calls should come here. The whole server stays as it is. */
  setReady(ok: boolean): void;
}

/** Largest message that a server takes; senders of more split it (ByteStream). */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** What a message may grow by when another coordinator hands it on, which writes out what the caller left to its defaults. */
const HANDED_ON_BYTES = 2 * 1024 * 1024;
const RECEIVE_BYTES_MAX = MESSAGE_BYTES_MAX + HANDED_ON_BYTES;

/**
 * Bytes that a client may send ahead on one stream, and on one connection. The window opens again once half of it is used, so a stream
 * gets half of this a round trip: 150 MB/s at 40 ms. It is also what a stream may hold of memory whose handler is slower.
 */
export const WINDOW_BYTES = 12 * 1024 * 1024;

/**
 * Bytes that all connections together may send ahead: with more than so many of them, each may send less, so that a store that is slow,
 * or stands still, does not fill the memory with uploads.
 */
const WINDOWS_BYTES = 256 * 1024 * 1024;
const WINDOW_BYTES_MIN = 256 * 1024;

/** Calls on one connection at a time; a client keeps what is more until another one has ended, or opens another connection. */
const STREAMS_MAX = 2_048;

/** A connection without a call is ended after this time; its client makes another one for its next call. */
const IDLE_MS = 30 * 60_000;

const SERVER_OPTIONS = {
  'grpc.max_concurrent_streams': STREAMS_MAX,
  'grpc.max_connection_idle_ms': IDLE_MS,
  'grpc.max_receive_message_length': RECEIVE_BYTES_MAX,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // Channelz stays on: without it, forceShutdown of grpc-js 1.14 knows no session and cuts none.
};

/**
 * A gRPC server with health checks and reflection, listening once this returns. Disposal reports NOT_SERVING, takes no new
 * calls, waits up to `drainMs` for those under way, and cuts the rest (their `signal` fires).
 * @throws {Fault} CONFIG_INVALID where the address cannot be bound; INTERNAL where an rpc has no permission.
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { env, listen, services, denials, audit, tls, drainMs } = options;
  const authenticator = denials === undefined ? options.authenticator : withDenials(options.authenticator, denials);
  const openCalls = openOpenCalls(env.clock, denials);
  const server = new Server(SERVER_OPTIONS);
  const peers = new Map<string, Evidence['tls']>();
  const tlsOf = (peer: string) => (tls === undefined ? undefined : (peers.get(peer) ?? { certificate: undefined }));
  const names = services.map(({ definition }) => serviceName(definition));
  const raw = new RawCalls(RECEIVE_BYTES_MAX, env.clock);
  const addService = (definition: ServiceDefinition, handlers: UntypedServiceImplementation, streams?: RawStreams) => {
    const guarded = withAdmission(definition, handlers, { authenticator, tlsOf, audit, openCalls });
    server.addService(definition, guarded);
    raw.add(definition, guarded, streams);
  };
  for (const { definition, handlers, raw: streams } of services) addService(definition, handlers, streams);
  const health = new HealthImplementation();
  const guarded = { addService } as Server; // all that the two below use of a server
  health.addToServer(guarded);
  new ReflectionService(loadDefinition(), { services: names }).addToServer(guarded);
  const setReady = (ok: boolean) => {
    for (const name of ['ready', ...names]) health.setStatus(name, ok ? 'SERVING' : 'NOT_SERVING');
  };
  const setServing = (ok: boolean) => {
    health.setStatus('', ok ? 'SERVING' : 'NOT_SERVING');
    setReady(ok);
  };
  const internals = internalsOf(server);
  if (internals === undefined) env.log.warn('http2-windows-not-raised', { listen });
  else internals.commonServerOptions.settings = { ...internals.commonServerOptions.settings, initialWindowSize: WINDOW_BYTES };
  const port = await bind(server, listen, tls);
  const share = windowShare();
  const { connectionLimits: limits, connections: counts } = options;
  const farewell = (why: string) => (tls === undefined ? goawayBytes(why) : undefined); // nothing can be said before the handshake
  for (const http2 of internals?.http2Servers.keys() ?? []) {
    limitConnections(http2, { name: 'grpc', limits, counts, farewell, env });
    if (tls !== undefined) http2.on('secureConnection', (socket: TLSSocket) => notePeer(peers, socket, tls));
    http2.on('session', share);
    inFront(http2, (stream, headers, next) => {
      if (!raw.take(stream, headers)) next();
    });
    sparingWithStrangers(http2, { authenticator, tlsOf });
  }
  setServing(true);
  let disposal: Promise<void> | undefined;
  return {
    address: `${hostOf(listen)}:${port}`,
    setServing,
    setReady,
    [Symbol.asyncDispose]: () => {
      setServing(false);
      disposal ??= shutDown(server, drainMs).finally(() => openCalls[Symbol.dispose]());
      return disposal;
    },
  };
}

/** `package.Service`, from the path of any of its methods. */
function serviceName(definition: ServiceDefinition): string {
  const [method] = Object.values(definition);
  return method?.path.split('/')[1] ?? '';
}

/** The part of grpc-js' server that has no public option: HTTP/2 settings and servers. */
type Internals = {
  readonly commonServerOptions: { settings?: { initialWindowSize?: number } };
  readonly http2Servers: ReadonlyMap<Http2Server | Http2SecureServer, unknown>;
};

function internalsOf(server: Server): Internals | undefined {
  const fields = server as unknown as Partial<Internals>; // private fields; checked here, and serve.test.ts notices when they go
  const { commonServerOptions, http2Servers } = fields;
  if (commonServerOptions === undefined || !(http2Servers instanceof Map)) return undefined;
  return { commonServerOptions, http2Servers };
}

/** The connection's window of one of so many connections. */
export function windowOf(connections: number): number {
  const share = Math.max(WINDOW_BYTES_MIN, WINDOWS_BYTES / connections);
  return share >= WINDOW_BYTES ? WINDOW_BYTES : 2 ** Math.floor(Math.log2(share)); // in steps, since a change is told to all
}

/** Gives each connection its share of what all may send ahead, and changes it with their number. */
function windowShare(): (session: ServerHttp2Session) => void {
  const sessions = new Set<ServerHttp2Session>();
  let given = WINDOW_BYTES;
  const give = (session: ServerHttp2Session) => {
    if (!session.destroyed && !session.closed) session.setLocalWindowSize(given);
  };
  const counted = () => {
    const now = windowOf(sessions.size);
    if (now === given) return;
    given = now;
    sessions.forEach(give);
  };
  return (session) => {
    sessions.add(session);
    counted();
    give(session);
    session.once('close', () => {
      sessions.delete(session);
      counted();
    });
  };
}

/** Keeps what the client has shown for as long as its connection lasts, under the name that gRPC has for the peer of a call. */
function notePeer(peers: Map<string, Evidence['tls']>, socket: TLSSocket, tls: ServerTls): void {
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  const shown = { certificate: tls.peerOf(socket) };
  peers.set(peer, shown);
  socket.once('close', () => {
    if (peers.get(peer) === shown) peers.delete(peer); // the peer may have come back by then
  });
}

async function bind(server: Server, listen: string, tls: ServerTls | undefined): Promise<number> {
  const credentials = tls === undefined ? ServerCredentials.createInsecure() : serverCredentials(tls.source);
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new Fault('CONFIG_INVALID', `Cannot listen on ${listen}: ${error.message}`, { field: 'listen', cause: error }));
    });
  });
}

function hostOf(listen: string): string {
  return listen.slice(0, listen.lastIndexOf(':'));
}

async function shutDown(server: Server, drainMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), drainMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
