import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { BenchOptions, Figure } from './bench.ts';
import { median, percentile } from './bench.ts';
import { startBenchYard } from './bench-yard.ts';
import type { BulkOrder } from './bulk-process.ts';
import { hostMicros } from './host-micros.ts';
import { endChild, startLoadAgents } from './load-agent-processes.ts';
import { redisPlace } from './redis-place.ts';

/** As the coordinator's defaults. */
const TERM_TTL_MS = 3_000;
const LEASE_TTL_MS = 15_000;
const AGENTS = 64;
const BULK_PROCESSES = 3;
const POLL_MS = 5;

/**
 * Renewals of the term and heartbeats while processes move blobs through the data plane as fast as the host can. A renewal
 * is due every third of the term; its lateness is how much longer the gap to the one before was, as Redis shows it.
 */
export async function* bulkFigures(options: BenchOptions): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await redisPlace(options.redis));
  const yard = stack.use(await startBenchYard({ ledger: { kind: 'redis', url: redis.url }, flags: ['--heartbeat', '1s'] }));
  const load = stack.use(await startLoadAgents({ address: yard.address, token: yard.token, count: AGENTS, perProcess: AGENTS, slots: 1 }));
  const seconds = options.quick ? 6 : 40;
  for (const busy of [false, true]) {
    const bulk = busy ? await startBulk((await yard.server.server(AbortSignal.timeout(10_000))).dataAddress) : [];
    load.takeHeartbeats();
    const late = await renewals(redis.url, seconds);
    const trips = load.takeHeartbeats();
    await Promise.all(bulk.map(endChild));
    const named = busy ? `with ${BULK_PROCESSES} processes of bulk streams` : 'at rest';
    yield { case: named, metric: 'renewal late, p99', value: percentile(late, 0.99), unit: `ms of ${TERM_TTL_MS / 6}` };
    yield { case: named, metric: 'heartbeat, p50', value: median(trips), unit: 'ms' };
    yield { case: named, metric: 'heartbeat, p99', value: percentile(trips, 0.99), unit: `ms of ${LEASE_TTL_MS / 6}` };
  }
}

/** How late each renewal of the time was, in milliseconds. */
async function renewals(url: string, seconds: number): Promise<readonly number[]> {
  const redis = new Redis(url, { protocol: 2 });
  const late: number[] = [];
  let last: string | null | undefined;
  let lastAt: number | undefined;
  const end = hostMicros() + seconds * 1e6;
  while (hostMicros() < end) {
    const until = await redis.hget('{switchyard}:meta', 'until');
    if (until !== last) {
      const at = hostMicros();
      if (lastAt !== undefined) late.push(Math.max(0, (at - lastAt) / 1000 - TERM_TTL_MS / 3));
      lastAt = last === undefined ? undefined : at;
      last = until;
    }
    await delay(POLL_MS);
  }
  redis.disconnect();
  return late;
}

async function startBulk(address: string): Promise<readonly ChildProcess[]> {
  const order: BulkOrder = { address };
  const children = Array.from({ length: BULK_PROCESSES }, () => fork(new URL('bulk-process.ts', import.meta.url)));
  for (const child of children) child.send(order);
  await delay(2_000); // streams at full speed
  return children;
}
