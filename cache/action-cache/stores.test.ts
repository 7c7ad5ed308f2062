import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { actionCacheContract } from '../../test/contract/action-cache.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf } from '../digest.ts';
import { LruDir } from '../lru-dir.ts';
import { diskActionCache } from './disk.ts';
import { memoryActionCache } from './memory.ts';

const env = { log: silentLogger, clock: systemClock };
const { signal } = new AbortController();

actionCacheContract({
  name: 'memory',
  damageable: false,
  open: async () => ({ cache: memoryActionCache(), [Symbol.asyncDispose]: async () => {} }),
});

actionCacheContract({
  name: 'disk',
  damageable: true,
  async open() {
    const dir = await tempDir();
    const files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', env });
    return {
      cache: diskActionCache(files),
      damage({ project, action }) {
        const parent = path.join(dir.path, project, action.slice(0, 2));
        for (const name of fs.readdirSync(parent)) fs.appendFileSync(path.join(parent, name), 'x');
      },
      async [Symbol.asyncDispose]() {
        await files[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  },
});

test('a full memory cache forgets what was used least', async () => {
  const cache = memoryActionCache({ entriesMax: 2 });
  const keys = ['a', 'b', 'c'].map((text) => ({ project: 'web', scope: 'main', action: digestOf(Buffer.from(text)) }));
  const [a, b, c] = keys;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three keys');
  const entry = { result: Buffer.from('r'), writer: { kind: 'executor', name: 'w' }, writtenAt: 1 } as const;
  await cache.put(a, entry, signal);
  await cache.put(b, entry, signal);
  await cache.get(a, signal);
  await cache.put(c, entry, signal);
  expect(await Promise.all(keys.map(async (key) => (await cache.get(key, signal)) !== undefined))).toEqual([true, false, true]);
});
