import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { loadAll } from '../../../test/contract/ledger.ts';
import { buildNumber, chunk, submission, tokenNumber } from '../../../test/contract/ledger-records.ts';
import { configAt, openAt } from '../../../test/fixtures/redis-ledger.ts';
import { startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { until } from '../../../test/fixtures/until.ts';
import { digestOf } from '../../../cache/digest.ts';
import type { LedgerRecord } from '../../core/record.ts';
import type { LogRecord } from '../ledger.ts';
import { openConnection, type Connection } from './connection.ts';
import { redisKeys } from './keys.ts';
import { operationsOf, SLICE_BYTES, SLICE_OPERATIONS, slicesOf } from './operations.ts';
import { openPatience } from './patience.ts';
import { readScripts } from './scripts.ts';
import { Takeover } from './takeover.ts';
import { Writer } from './writer.ts';

const signal = new AbortController().signal;
const build = buildNumber(1);
const names = Array.from({ length: 600 }, (_, index) => `step-${index}`);
const leader = (id: string) => ({ id, address: `${id}:1` });

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.command('FLUSHALL'));
afterAll(() => redis[Symbol.asyncDispose]());

type Send = () => ReturnType<Connection['call']>;

/** Takes the lead and commits; `meet` stands before every call of the commit. */
async function commitWhile(records: readonly LedgerRecord[], meet: (send: Send) => ReturnType<Send>): Promise<void> {
  const env = { log: silentLogger, clock: systemClock };
  const config = configAt(redis.url);
  const connection = openConnection({ config, role: 'dies', answerMs: 1_000, env });
  const scripts = readScripts();
  const durable = { durability: { kind: 'memory' }, waitsForDisk: () => false, answerMs: 1_000 } as const;
  const shared = { ...durable, keys: redisKeys(config.prefix), scripts, patience: openPatience(env, redis.address), env };
  try {
    await until('it is connected', () => connection.state().connected);
    const held = present(await new Takeover({ ...shared, connection }).lead(leader('dies'), 60_000), 'the leadership is free');
    const meeting: Connection = { ...connection, call: (...all) => meet(() => connection.call(...all)) };
    held.endsAt = 0; // it does not come to try again
    await new Writer({ ...shared, connection: meeting }).commit(held, records);
  } finally {
    connection.close();
  }
}

/** Commits as a coordinator that dies before its call with that number reaches Redis, or right after it was carried out. */
async function dieAt(fatalCall: number, when: 'before' | 'after', records: readonly LedgerRecord[]): Promise<void> {
  let calls = 0;
  const committing = commitWhile(records, async (send) => {
    calls += 1;
    if (calls > fatalCall || (calls === fatalCall && when === 'before')) throw new Error('Connection is closed.');
    const answers = await send();
    if (calls === fatalCall) throw new Error('Connection is closed.');
    return answers;
  });
  await expect(committing).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
}

it('is whole or not there, wherever its coordinator dies in the middle of a large commit', async () => {
  const records = submission(build, names);
  const count = slicesOf(operationsOf(records, redisKeys('switchyard'), () => [])).length;
  expect(count).toBe(5);
  for (let call = 1; call <= 2 * count + 1; call += 1) {
    for (const when of ['before', 'after'] as const) {
      await redis.command('FLUSHALL');
      await dieAt(call, when, records);
      await using ledger = await openAt(redis.url);
      const term = present(await ledger.lead(leader('dies'), 60_000, signal), 'the same holder leads at once');
      // The call after the slices decides.
      const decided = call > count + 1 || (call === count + 1 && when === 'after');
      const loaded = await loadAll(ledger);
      expect(loaded).toHaveLength(decided ? 2 + 2 * names.length : 0);
      expect(await ledger.events(build, 0, 10, signal)).toHaveLength(decided ? 1 : 0);
      // meta; and builds, rows and events of the one build.
      expect(await redis.command('DBSIZE')).toBe(decided ? 4 : 1);
      await ledger.commit(term, submission(buildNumber(2), names), signal);
      expect(await loadAll(ledger)).toHaveLength((decided ? 2 : 1) * (2 + 2 * names.length));
    }
  }
});

it('is not acknowledged by a Redis that has lost its decision meanwhile', async () => {
  const records = submission(build, names);
  let calls = 0;
  const committing = commitWhile(records, async (send) => {
    const answers = await send();
    calls += 1;
    if (calls !== 6) return answers;
    // The call that decided is what a crash took away; the slices are from before it.
    await redis.command('HDEL', '{switchyard}:meta', 'redo', 'slices', 'large');
    await redis.command('HSET', '{switchyard}:meta', 'commit', '0');
    return answers;
  });
  await expect(committing).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
  await using ledger = await openAt(redis.url);
  present(await ledger.lead(leader('dies'), 60_000, signal), 'the same holder leads at once');
  expect(await loadAll(ledger)).toEqual([]);
});

it('commits 20,000 records and forgets them, and nothing of them stays', async () => {
  await using ledger = await openAt(redis.url);
  const term = present(await ledger.lead(leader('a'), 60_000, signal), 'the leadership is free');
  const many = Array.from({ length: 10_000 }, (_, index) => `step-${index}`);
  await ledger.commit(term, submission(build, many), signal);
  const logs = many.map((_, index) => chunk(build, tokenNumber(index + 1), 0, Uint8Array.of(1)));
  await ledger.commit(term, logs, signal);
  expect(await loadAll(ledger)).toHaveLength(2 + 2 * many.length);
  await ledger.commit(term, [{ kind: 'build-forgotten', id: build }], signal);
  expect(await redis.command('KEYS', '*')).toEqual(['{switchyard}:meta']);
});

it('cuts whatever is large into calls of bounded work, in its order, and small commits not at all', () => {
  const keys = redisKeys('p');
  const operations = operationsOf(
    submission(
      build,
      Array.from({ length: 5_000 }, (_, index) => `step-${index}`),
    ),
    keys,
    () => [],
  );
  const slices = slicesOf(operations);
  expect(slices.flatMap(({ list }) => list.filter((arg) => arg === 'H' || arg === 'X' || arg === 'B')).length).toBe(operations.length);
  for (const { list } of slices) {
    expect(list.length).toBeLessThanOrEqual(4 * SLICE_OPERATIONS);
    expect(list.join('').length).toBeLessThanOrEqual(SLICE_BYTES);
  }
  expect(slices.at(-1)?.list.slice(-2)).toEqual(['B', build]);
  const sealed = Array.from({ length: 64 }, (_, index): LogRecord => ({
    kind: 'log-segment',
    build: buildNumber(index),
    token: tokenNumber(index + 1),
    offset: 0,
    digest: digestOf(Uint8Array.of(index)),
  }));
  expect(slicesOf(operationsOf(sealed, keys, () => []))).toHaveLength(1);
  const forgotten = operationsOf([{ kind: 'build-forgotten', id: build }], keys, () => names);
  expect(slicesOf(forgotten).every(({ list }) => list.length <= 2 * SLICE_OPERATIONS)).toBe(true);
});
