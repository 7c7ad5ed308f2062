import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { systemClock } from '../../base/clock.ts';
import { identityStoreContract } from '../../test/contract/identity-store.ts';
import { dropPrefix, sharedRedis } from '../../test/fixtures/redis.ts';
import { configAt, newPrefix } from '../../test/fixtures/redis-ledger.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { openMemoryIdentityStore } from './memory-store.ts';
import { openRedisIdentityStore } from './redis-store.ts';
import { openSqliteIdentityStore } from './sqlite-store.ts';

let dir: TempDir;
let redis: Awaited<ReturnType<typeof sharedRedis>>;
const prefixes: string[] = [];
beforeAll(async () => {
  [dir, redis] = await Promise.all([tempDir(), sharedRedis()]);
});
afterAll(async () => {
  for (const prefix of prefixes) await dropPrefix(redis.url, prefix);
  for (const part of [redis, dir]) await part[Symbol.asyncDispose]();
});

identityStoreContract({
  name: 'memory',
  async open() {
    const store = openMemoryIdentityStore();
    return [store, store];
  },
  reopen: undefined,
});

let path = '';
identityStoreContract({
  name: 'sqlite',
  async open() {
    path = join(dir.path, `${newPrefix()}.sqlite`);
    const store = openSqliteIdentityStore(path);
    return [store, store];
  },
  async reopen(store) {
    await store[Symbol.asyncDispose]();
    return openSqliteIdentityStore(path);
  },
});

const env = { log: silentLogger, clock: systemClock };
identityStoreContract({
  name: 'redis',
  async open() {
    const prefix = newPrefix();
    prefixes.push(prefix);
    const config = configAt(redis.url, prefix);
    return [openRedisIdentityStore(config, () => true, env), openRedisIdentityStore(config, () => true, env)];
  },
  async reopen(store) {
    await store[Symbol.asyncDispose]();
    return openRedisIdentityStore(configAt(redis.url, prefixes.at(-1)), () => true, env);
  },
});

test('a file that cannot be opened is refused with each call, and used once it can be', async () => {
  const missing = join(dir.path, 'missing');
  await using store = openSqliteIdentityStore(join(missing, 'identity.sqlite'));
  await expect(store.get('spent', 'a')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  await expect(store.get('spent', 'a')).rejects.toMatchObject({ hint: expect.stringContaining('directory') });
  const { mkdir } = await import('node:fs/promises');
  await mkdir(missing);
  expect(await store.get('spent', 'a')).toBeUndefined();
});
