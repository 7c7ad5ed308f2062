import { Redis } from 'ioredis';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { digestOf } from '../../cache/digest.ts';
import { putCondemnRecord } from '../../cache/gc/condemn-records.ts';
import { memoryObjects, type MemoryObjects } from '../../cache/objects/memory.ts';
import { openPackStore } from '../../cache/packs/open.ts';
import { rebuildIndex } from '../../cache/packs/rebuild.ts';
import { openRedisStoreIndex } from '../../cache/store-index/redis/redis.ts';
import type { PackName, StoreIndex } from '../../cache/store-index/store-index.ts';
import { expectFault, readAll } from '../contract/blob-store.ts';
import { viewIn } from '../contract/store-of.ts';
import { startReplica } from '../fixtures/redis-topology.ts';
import { startRedis, type RedisServer } from '../fixtures/redis.ts';
import { startRelay } from '../fixtures/relay.ts';
import { until } from '../fixtures/until.ts';

/* The store's index in a real Redis that forgets: what a collector had condemned stays condemned, and no blob is lost. */

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
const VIEW = viewIn('web', 'main');
const GRACE_MS = 60_000;

/** The index in that Redis and the packs over it, as a data plane has them. */
async function open(objects: MemoryObjects, redis: Pick<RedisServer, 'host' | 'port' | 'address'>) {
  const client = new Redis({ host: redis.host, port: redis.port, protocol: 2, maxRetriesPerRequest: 50, retryStrategy: () => 50 });
  client.on('error', () => {}); // a server that the test stops
  const index = openRedisStoreIndex({ client, prefix: 'yard', where: redis.address });
  const packs = openPackStore({ objects, index, env, durability: 'none', settings: { idleMs: 0, cacheBytes: 0, holdMs: 100 } });
  const put = async (text: string): Promise<PackName> => {
    const bytes = Buffer.from(text);
    await packs.storeOf(VIEW).put(digestOf(bytes), bytes, signal);
    const [name] = (await packs.packsOf(VIEW, [digestOf(bytes)], undefined, signal)).packs;
    if (name === undefined) throw new Error('it is in no pack');
    return name;
  };
  return {
    index,
    packs,
    put,
    async [Symbol.asyncDispose]() {
      await packs[Symbol.asyncDispose]();
      await index[Symbol.asyncDispose]();
      client.disconnect();
    },
  };
}

const rebuild = (objects: MemoryObjects, index: StoreIndex) =>
  rebuildIndex({ objects, index, restoreEntries: async () => {}, env, graceMs: GRACE_MS }, signal);

/** A Redis that remembers up to `mark`, and where it is once it has lost what came after it. */
type Forgetful = {
  readonly redis: RedisServer;
  readonly mark: () => Promise<void>;
  readonly lose: () => Promise<RedisServer>;
} & AsyncDisposable;

function appendedFile(redis: RedisServer): string {
  const dir = path.join(redis.dir, 'appendonlydir');
  const [name = ''] = fs.readdirSync(dir).filter((one) => one.endsWith('.incr.aof'));
  return path.join(dir, name);
}

const LOSSES: readonly (readonly [name: string, start: () => Promise<Forgetful>])[] = [
  [
    'its append-only file is cut short',
    async () => {
      const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always', '--aof-load-truncated', 'yes'] });
      let bytes = 0;
      return {
        redis,
        mark: async () => void (bytes = fs.statSync(appendedFile(redis)).size),
        async lose() {
          await redis.kill9();
          expect(fs.statSync(appendedFile(redis)).size).toBeGreaterThan(bytes + 20);
          fs.truncateSync(appendedFile(redis), bytes + 11); // in the middle of a command
          await redis.start();
          return redis;
        },
        [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
      };
    },
  ],
  [
    'it fails over to a replica that misses the last writes',
    async () => {
      await using stack = new AsyncDisposableStack();
      const redis = stack.use(await startRedis());
      const relay = stack.use(await startRelay(redis.address));
      const replica = stack.use(await startReplica(redis, relay.address));
      const parts = stack.move();
      const offsetOf = async (server: RedisServer) =>
        /(?:slave|master)_repl_offset:(\d+)/.exec(String(await server.command('INFO', 'replication')))?.[1];
      return {
        redis,
        async mark() {
          await until('the replica has all of it', async () => (await offsetOf(replica)) === (await offsetOf(redis)));
          relay.cut();
        },
        async lose() {
          await redis.kill9();
          await replica.command('REPLICAOF', 'NO', 'ONE');
          return replica;
        },
        [Symbol.asyncDispose]: () => parts.disposeAsync(),
      };
    },
  ],
  [
    'somebody empties it while it runs',
    async () => {
      const redis = await startRedis();
      return {
        redis,
        mark: async () => {},
        async lose() {
          await redis.command('FLUSHALL');
          return redis;
        },
        [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
      };
    },
  ],
];

test.for(LOSSES)('where %s the index is closed at once, and then knows all blobs again and none that are condemned', async ([, start]) => {
  await using forgetful = await start();
  const objects = memoryObjects({ clock: systemClock });
  let epochBefore = '';
  let condemned: PackName;
  {
    await using before = await open(objects, forgetful.redis);
    await rebuild(objects, before.index);
    epochBefore = (await before.index.epoch(signal)).epoch;
    await before.put('stored before');
    condemned = await before.put('condemned after');
    await forgetful.mark();
    await before.put('stored after');
    await until('nobody holds the pack and it is condemned', async () =>
      before.index.condemn(condemned, epochBefore, (await before.index.now(signal)) + 1_000, signal),
    );
    await putCondemnRecord(objects, condemned, epochBefore, signal);
    await before.index.condemnRecorded(condemned, epochBefore, signal);
  }
  await using after = await open(objects, await forgetful.lose());
  const { index, packs } = after;
  const state = await until('it answers', () => index.epoch(signal));
  expect(state).toMatchObject({ open: false, complete: false });
  expect(state.epoch).not.toBe(epochBefore);
  const store = packs.storeOf(VIEW);
  const [early, late, gone] = ['stored before', 'stored after', 'condemned after'].map((text) => Buffer.from(text));
  if (early === undefined || late === undefined || gone === undefined) throw new Error('three');
  await expectFault('STORE_UNAVAILABLE', store.findMissing([digestOf(early)], signal));
  await expectFault('STORE_UNAVAILABLE', readAll(store, digestOf(gone)));
  await rebuild(objects, index);
  expect(await store.findMissing([early, late, gone].map(digestOf), signal)).toEqual([digestOf(gone)]);
  for (const bytes of [early, late]) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  expect((await index.packs({ state: 'condemned' }, undefined, 10, signal)).map(({ name }) => name)).toEqual([condemned]);
});
