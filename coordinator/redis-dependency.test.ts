import { expect, test } from 'vitest';
import type { RedisLedgerState } from './ledger/redis/redis.ts';
import { redisDependency, whyAway } from './redis-dependency.ts';

const well = { connected: true, since: 1_000, latencyMs: 0.42, lastError: undefined };
const state: RedisLedgerState = { where: 'redis:6379', version: 'Redis 7.2.4', commits: well, reads: well, retries: 3 };

test('a Redis that answers says how fast', () => {
  const view = redisDependency(state, 5_000);
  expect(view).toMatchObject({
    kind: 'closed',
    since: 1_000,
    detail: 'Redis 7.2.4 at redis:6379, answered in 0.4 ms',
    counts: { faults: 3 },
  });
  expect(whyAway(view)).toBeUndefined();
  expect(whyAway(undefined)).toBeUndefined();
});

test('one of its connections that is lost is enough to say so, with the cause and since when', () => {
  const reads = { ...well, connected: false, since: 2_000, lastError: 'connect ECONNREFUSED redis:6379' };
  const view = redisDependency({ ...state, reads }, 5_000);
  expect(view).toMatchObject({ kind: 'open', since: 2_000, lastFault: 'connect ECONNREFUSED redis:6379' });
  expect(whyAway(view)).toBe('Redis 7.2.4 at redis:6379, not connected for 3 s (connect ECONNREFUSED redis:6379)');
});
