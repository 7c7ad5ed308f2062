import { join } from 'node:path';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { buildNumber } from '../contract/ledger-records.ts';
import type { Ledger, Term } from '../../coordinator/ledger/ledger.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { parseTarget } from '../../base/redis/target.ts';
import type { LedgerRedisConfig } from '../../coordinator/ledger/redis/config.ts';
import { openRedisLedger } from '../../coordinator/ledger/redis/redis.ts';
import { openSqliteLedger } from '../../coordinator/ledger/sqlite.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import type { Bench, BenchOptions, Figure } from './bench.ts';
import { hostMicros } from './host-micros.ts';
import { queuedBuild, queuedStep, sessions } from './ledger-load.ts';
import { watchRedis, type SlowestCall } from './redis-calls.ts';
import { redisPlace } from './redis-place.ts';

const BATCHES = [1, 16, 64, 256] as const;
const SECONDS = 2;
const TTL_MS = 60_000;
const NO_TLS = { ca: undefined, cert: undefined, key: undefined, serverName: undefined };
const never = new AbortController().signal;

/**
 * The ledgers alone: transitions (rewritten step records) a second by how many go into one commit, one commit after the
 * other; and on Redis the longest single call while large things happen, because whoever else wants Redis waits that long.
 */
export const ledgerBench: Bench = {
  name: 'ledger',
  about: 'transitions/s of each ledger by batch size; the longest single Redis call during large commits and loads',
  knowsPeers: false,
  async *run(options) {
    await using dir = await tempDir();
    yield* transitions('memory', openMemoryLedger(), options);
    if (options.ledger !== 'redis') {
      await using sqlite = await openSqliteLedger({ path: join(dir.path, 'ledger.sqlite'), synchronous: 'FULL', env: options.env });
      yield* transitions('SQLite, synchronous FULL', sqlite, options);
    }
    if (options.ledger !== 'sqlite') yield* redisFigures(options);
  },
};

async function* redisFigures(options: BenchOptions): AsyncGenerator<Figure> {
  await using place = await redisPlace(options.redis);
  const config: LedgerRedisConfig = {
    ...{ target: parseTarget(place.url), sentinelPassword: undefined, tls: NO_TLS },
    ...{ prefix: `bench-${hostMicros()}`, durability: { kind: 'memory' } },
  };
  await using ledger = await openRedisLedger({ config, env: options.env });
  await using watched = await watchRedis(place.url);
  const named = `Redis, ${place.persistence}`;
  const term = await lead(ledger);
  const commit = (records: readonly LedgerRecord[]) => ledger.commit(term, records, never);
  await commit(queuedBuild(0, 1_000));
  for (const size of BATCHES) {
    const [rate, slowest] = await watched.during(() => rateOf(ledger, term, size, options));
    yield { case: `${named}, ${size} a commit`, metric: 'transitions', value: rate, unit: '/s' };
    yield* callFigures(`${named}, ${size} a commit`, slowest);
  }
  const stepCount = options.quick ? 10_000 : 100_000;
  const large = queuedBuild(1, 20_000 / 3);
  const works: readonly (readonly [string, () => Promise<unknown>])[] = [
    [`one commit of ${large.length} records`, () => commit(large)],
    [
      `100 commits, ${stepCount} queued steps in all`,
      async () => {
        for (let number = 0; number < 100; number += 1) await commit(queuedBuild(2 + number, stepCount / 100));
      },
    ],
    ['one commit of 1000 sessions', () => commit(sessions(1_000))],
    [`load of ${stepCount} queued steps and 1000 sessions`, () => loaded(ledger)],
    [
      'a takeover of all that',
      async () => {
        await ledger.resign(term, never);
        await lead(ledger);
      },
    ],
  ];
  for (const [what, work] of works) {
    const before = hostMicros();
    const [, slowest] = await watched.during(work);
    yield { case: what, metric: 'took', value: (hostMicros() - before) / 1000, unit: 'ms' };
    yield* callFigures(what, slowest);
  }
  const last = await lead(ledger);
  const [, slowest] = await watched.during(() => ledger.commit(last, [{ kind: 'build-forgotten', id: buildNumber(1) }], never));
  yield* callFigures(`forgetting a build of ${Math.floor(20_000 / 3)} steps`, slowest);
}

function* callFigures(named: string, { callMs, call, pingMs, stallMs }: SlowestCall): Generator<Figure> {
  yield { case: named, metric: `longest call (${call})`, value: callMs, unit: 'ms' };
  yield { case: named, metric: 'longest PING of another client', value: pingMs, unit: 'ms' };
  yield { case: named, metric: 'longest stall of this process', value: stallMs, unit: 'ms' };
}

async function* transitions(named: string, ledger: Ledger, options: BenchOptions): AsyncGenerator<Figure> {
  const term = await lead(ledger);
  await ledger.commit(term, queuedBuild(0, 1_000), never);
  for (const size of BATCHES) {
    yield { case: `${named}, ${size} a commit`, metric: 'transitions', value: await rateOf(ledger, term, size, options), unit: '/s' };
  }
}

/** Rewrites the steps of build 0 in turns. */
async function rateOf(ledger: Ledger, term: Term, size: number, { quick }: BenchOptions): Promise<number> {
  const build = buildNumber(0);
  const steps = Array.from({ length: 1_000 }, (_, index) => queuedStep(build, `step-${index}`));
  const begun = hostMicros();
  const until = begun + (quick ? 0.3 : SECONDS) * 1e6;
  let count = 0;
  while (hostMicros() < until) {
    const from = count % (1_000 - size);
    await ledger.commit(term, steps.slice(from, from + size), never);
    count += size;
  }
  return count / ((hostMicros() - begun) / 1e6);
}

async function lead(ledger: Ledger): Promise<Term> {
  const term = await ledger.lead({ id: 'bench', address: '127.0.0.1:1' }, TTL_MS, never);
  if (term === undefined) throw new Error('Somebody else leads');
  return term;
}

async function loaded(ledger: Ledger): Promise<number> {
  let count = 0;
  for await (const records of ledger.load(never)) count += records.length;
  return count;
}
