import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { ledgerContract } from '../../../test/contract/ledger.ts';
import { sharedLedgerContract } from '../../../test/contract/shared-ledger.ts';
import { dropPrefix, sharedRedis, startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { newPrefix, openAt, openTwoAt } from '../../../test/fixtures/redis-ledger.ts';
import { startRedisCluster, type RedisClusterNodes } from '../../../test/fixtures/redis-topology.ts';

// Leaderships are measured by the server's clock, which nobody here can set: these tests wait.
const time = { ttlMs: 500, pass: (ms: number) => sleep(ms + 5) };

let shared: Awaited<ReturnType<typeof sharedRedis>>;
let own: RedisServer;
let cluster: RedisClusterNodes;
const prefixes: string[] = [];
beforeAll(async () => {
  [shared, own, cluster] = await Promise.all([sharedRedis(), startRedis(), startRedisCluster()]);
});
afterAll(async () => {
  for (const prefix of prefixes) await dropPrefix(shared.url, prefix);
  for (const server of [shared, own, cluster]) await server[Symbol.asyncDispose]();
});

for (const [name, urlOf] of [
  ['redis', () => shared.url],
  ['redis cluster', () => cluster.url],
] as const) {
  let prefix = '';
  ledgerContract({
    name,
    open: () => {
      prefix = newPrefix();
      if (name === 'redis') prefixes.push(prefix);
      return openAt(urlOf(), { prefix });
    },
    reopen: async (ledger) => {
      await ledger[Symbol.asyncDispose]();
      return await openAt(urlOf(), { prefix });
    },
    time,
  });
}

for (const [name, urlOf, serversOf] of [
  ['redis', () => own.url, () => [own]],
  ['redis cluster', () => cluster.url, () => cluster.masters],
] as const) {
  sharedLedgerContract({
    name,
    ...time,
    async open() {
      for (const server of serversOf()) await server.command('FLUSHALL');
      return await openTwoAt(urlOf());
    },
    async checkpoint() {
      for (const server of serversOf()) await server.command('SAVE');
      return async () => {
        // They come back with what they saved then.
        for (const server of serversOf()) await server.kill9();
        for (const server of serversOf()) await server.start();
      };
    },
  });
}

test.for([
  ['a server', () => shared.url],
  ['a cluster', () => cluster.url],
] as const)("the time is that of %s, whatever the coordinator's host says", async ([, urlOf]) => {
  const prefix = newPrefix();
  if (urlOf() === shared.url) prefixes.push(prefix);
  const { monotonic } = systemClock;
  await using ahead = await openAt(urlOf(), { prefix, clock: { now: () => systemClock.now() + 3_600_000, monotonic } });
  await using behind = await openAt(urlOf(), { prefix, clock: { now: () => 0, monotonic } });
  const signal = new AbortController().signal;
  const before = systemClock.now(); // the servers run on this host
  const said = [await ahead.now(signal), await behind.now(signal)];
  for (const time of said) expect(time).toSatisfy((ms: number) => ms >= before - 1 && ms <= systemClock.now());
});
