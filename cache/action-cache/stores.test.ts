import fs from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { freshKeyring } from '../../base/signing.ts';
import { actionCacheContract } from '../../test/contract/action-cache.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf } from '../digest.ts';
import { diskEntryStore, nameOf } from '../entries/disk.ts';
import { memoryEntryStore } from '../entries/memory.ts';
import { LruDir } from '../lru-dir.ts';
import { groupsOf, partitionOf } from '../owner.ts';
import { entryActionCache } from './entries.ts';

const env = { log: silentLogger, clock: systemClock };
const { signal } = new AbortController();

actionCacheContract({
  name: 'memory',
  damageable: false,
  open: async () => ({ cache: entryActionCache(memoryEntryStore()), [Symbol.asyncDispose]: async () => {} }),
});

actionCacheContract({
  name: 'disk',
  damageable: true,
  async open() {
    const dir = await tempDir();
    const files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', groupsOf, env });
    return {
      cache: entryActionCache(diskEntryStore(files, freshKeyring(), env)),
      damage: ({ action, ...owner }) => fs.appendFileSync(files.pathOf(partitionOf(owner), nameOf('action', action)), 'x'),
      async [Symbol.asyncDispose]() {
        await files[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  },
});

test('of a client and an executor that write at once, the executor’s result stays', async () => {
  const cache = entryActionCache(memoryEntryStore());
  const key = { project: 'web', scope: 'main', action: digestOf(Buffer.from('a')) };
  const put = (kind: 'executor' | 'client', index: number) =>
    cache.put(key, { result: Buffer.from(`${kind} ${index}`), writer: { kind, name: 'w' }, writtenAt: index }, signal);
  await Promise.all([put('client', 1), put('executor', 2), put('client', 3), put('client', 4)]);
  expect(Buffer.from((await cache.get(key, signal))?.result ?? []).toString()).toBe('executor 2');
});
