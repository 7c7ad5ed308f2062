import type { Server, Socket } from 'node:net';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** How many connections a server holds. */
export type ConnectionLimits = {
  readonly inAll: number;
  /** From one address: a host with many agents, or all that come through one proxy. */
  readonly perAddress: number;
  /** A connection on which nothing was received for so long after it was made is ended. */
  readonly silentMs: number;
};

/** Why a connection was not taken, or ended: all that may be are there, all of its address, or it said nothing. */
export type ConnectionRefusal = 'all' | 'address' | 'silent';

/** What became of a server's connections; sums since the process began. */
export type ConnectionCounts = { open: number; readonly refused: Record<ConnectionRefusal, number> };

export function newConnectionCounts(): ConnectionCounts {
  return { open: 0, refused: { all: 0, address: 0, silent: 0 } };
}

export type ConnectionLimitOptions = {
  /** For the log: what listens. */
  readonly name: string;
  /** @default CONNECTION_LIMITS */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** @default nobody counts */
  readonly counts?: ConnectionCounts | undefined;
  /** What one that is refused is told before it is cut, in the server's protocol; undefined where it cannot be told. */
  readonly farewell: (why: string) => Uint8Array | undefined;
  readonly env: { readonly log: Logger; readonly clock: Clock };
};

/**
 * Room for some thousands of agents behind one address and as many callers. An open connection that does nothing costs some 20 KiB of
 * memory and a file descriptor.
 */
export const CONNECTION_LIMITS: ConnectionLimits = { inAll: 16_384, perAddress: 8_192, silentMs: 20_000 };

/** Refused connections that are still being told why; more are cut without a word. */
const FAREWELLS_MAX = 64;
const FAREWELL_MS = 1_000;
/** Between two lines of the log. */
const LOG_EVERY_MS = 10_000;

/**
 * Bounds the connections of a server, before anything of its protocol sees them. To be called once all that handles connections has been
 * added, such as by the server's own constructor.
 */
export function limitConnections(server: Server, options: ConnectionLimitOptions): void {
  const { inAll, perAddress, silentMs } = { ...CONNECTION_LIMITS, ...options.limits };
  const { counts = newConnectionCounts(), env } = options;
  const open = new Map<string, number>();
  const refuse = refusing(options, counts);
  const handlers = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address = '' } = socket;
    const ofAddress = open.get(address) ?? 0;
    if (counts.open >= inAll) return refuse(socket, 'all', `there are ${inAll} connections already`);
    if (ofAddress >= perAddress) return refuse(socket, 'address', `there are ${perAddress} connections from ${address} already`);
    counts.open += 1;
    open.set(address, ofAddress + 1);
    const silent = setTimeout(() => {
      if (socket.bytesRead > 0) return;
      counts.refused.silent += 1;
      env.log.debug('connection-silent', { name: options.name, address });
      socket.destroy();
    }, silentMs).unref();
    socket.once('close', () => {
      clearTimeout(silent);
      counts.open -= 1;
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
    for (const handle of handlers) handle.call(server, socket);
  });
}

function refusing({ name, farewell, env }: ConnectionLimitOptions, counts: ConnectionCounts) {
  let leaving = 0;
  let loggedAt = -Infinity;
  return (socket: Socket, why: 'all' | 'address', message: string): void => {
    counts.refused[why] += 1;
    const now = env.clock.monotonic();
    if (now - loggedAt >= LOG_EVERY_MS) {
      loggedAt = now;
      env.log.warn('connections-refused', { name, why: message, open: counts.open, refused: counts.refused.all + counts.refused.address });
    }
    socket.on('error', () => {}); // it may be gone already
    const words = leaving < FAREWELLS_MAX ? farewell(message) : undefined;
    if (words === undefined) return void socket.destroy();
    leaving += 1;
    const timer = setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      leaving -= 1;
    });
    socket.resume(); // what was not read would take the words away from it
    socket.end(words);
  };
}

/** The connections of a process' servers in numbers, by what listens. */
export function connectionMetrics(metrics: Metrics, servers: Readonly<Record<string, ConnectionCounts>>): void {
  metrics.read({
    name: 'switchyard_connections',
    help: 'Connections that are open, by what listens.',
    kind: 'gauge',
    labels: ['server'],
    values: () => Object.entries(servers).map(([server, { open }]) => ({ value: open, labels: { server } })),
  });
  metrics.read({
    name: 'switchyard_connections_refused_total',
    help:
      'Connections that were not taken, since all that may be were there (`all`) or all of their address (`address`), or that were ended ' +
      'because they said nothing (`silent`).',
    kind: 'counter',
    labels: ['server', 'why'],
    values: () =>
      Object.entries(servers).flatMap(([server, { refused }]) =>
        Object.entries(refused).map(([why, value]) => ({ value, labels: { server, why } })),
      ),
  });
}
