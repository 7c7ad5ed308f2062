import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../../base/clock.ts';
import { storeIndexContract } from '../../../test/contract/store-index.ts';
import { sameAsMemory } from '../../../test/contract/store-index/differential.ts';
import { makeReady } from '../../../test/contract/store-index/used.ts';
import { newPrefix } from '../../../test/fixtures/redis-ledger.ts';
import { startRedisCluster, type RedisClusterNodes } from '../../../test/fixtures/redis-topology.ts';
import { startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { blob, holdOf, newPack, packName } from '../../../test/fixtures/store-index.ts';
import { openRedisStoreIndex } from './redis.ts';

const signal = new AbortController().signal;
let server: RedisServer;
let cluster: RedisClusterNodes;
let clients: { readonly single: Redis; readonly cluster: Cluster };
beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedis(), startRedisCluster()]);
  clients = {
    single: new Redis({ host: server.host, port: server.port, protocol: 2 }),
    cluster: new Cluster(
      cluster.masters.map(({ host, port }) => ({ host, port })),
      { redisOptions: { protocol: 2 } },
    ),
  };
  for (const client of Object.values(clients)) client.on('error', () => {}); // a server that a test stops
});
afterAll(async () => {
  for (const client of Object.values(clients)) client.disconnect();
  await Promise.all([server[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]);
});

function open(which: 'single' | 'cluster', clock: Pick<Clock, 'now'> | undefined, prefix = newPrefix()) {
  return openRedisStoreIndex({ client: clients[which], prefix, where: 'here', ...(clock === undefined ? {} : { clock }) });
}

storeIndexContract({ name: 'redis', open: async (clock) => open('single', clock) });
storeIndexContract({ name: 'redis cluster', open: async (clock) => open('cluster', clock) });

test('says what the one in memory says, in random histories', () => sameAsMemory(async (clock) => open('single', clock), 100, 1));

test('the time is that of the server', async () => {
  await using index = open('single', undefined);
  const before = systemClock.now(); // the server runs on this host
  expect(await index.now(signal)).toSatisfy((now: number) => now >= before - 1 && now <= systemClock.now());
});

test('blobs by the tens of thousands stay findable while their buckets are split, and take little room', async () => {
  const prefix = newPrefix();
  await using index = open('single', undefined, prefix);
  await makeReady(index);
  const memory = async () => Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1]);
  const before = await memory();
  const [packs, each] = [10, 4_000];
  const begunAt = await index.now(signal);
  for (let pack = 0; pack < packs; pack += 1) {
    const blobs = Array.from({ length: each }, (_, n) => blob(pack * each + n));
    await index.addPack(newPack(packName(1 + pack), blobs, { begunAt }), undefined, signal);
  }
  const bytesPerRow = ((await memory()) - before) / (packs * each);
  expect(bytesPerRow).toBeLessThan(100);
  const all = Array.from({ length: packs * each }, (_, n) => blob(n));
  expect((await index.locate('apple', ['main'], all, undefined, signal)).size).toBe(packs * each);
});

test('a server that was started anew is a new epoch, closed, in which no hold of before counts', async () => {
  await using redis = await startRedis();
  const client = new Redis({ host: redis.host, port: redis.port, protocol: 2, maxRetriesPerRequest: 50, retryStrategy: () => 50 });
  client.on('error', () => {});
  try {
    const index = openRedisStoreIndex({ client, prefix: 'yard', where: redis.address });
    const epoch = await makeReady(index);
    await index.addPack(newPack(packName(1), [blob(1)], { begunAt: await index.now(signal) }), holdOf('h', epoch), signal);
    await redis.command('SAVE');
    await index.addPack(newPack(packName(2), [blob(2)], { begunAt: await index.now(signal) }), undefined, signal);
    await redis.kill9();
    await redis.start();
    const state = await index.epoch(signal);
    expect(state).toMatchObject({ open: false, complete: false });
    expect(state.epoch).not.toBe(epoch);
    await expect(index.locate('apple', ['main'], [blob(1)], undefined, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await makeReady(index);
    expect([...(await index.locate('apple', ['main'], [blob(1), blob(2)], undefined, signal)).keys()]).toEqual([blob(1)]);
    await expect(index.extend(holdOf('h', epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
    await redis.kill9();
    await redis.start({ empty: true });
    expect((await index.epoch(signal)).epoch).not.toBe(state.epoch);
    expect(await index.packs({}, undefined, 10, signal)).toEqual([]);
  } finally {
    client.disconnect();
  }
});
