import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { chunked, expectFault, readAll } from '../test/contract/blob-store.ts';
import { needs } from '../test/fixtures/host.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { digestOf } from './digest.ts';
import { diskStore } from './disk.ts';
import { LruDir } from './lru-dir.ts';
import { memoryStore } from './memory.ts';
import { buildTree } from './tree/build.ts';
import { materialise, storeFileSource } from './tree/materialise.ts';

const { signal } = new AbortController();

/** A file system of 4 MiB at a new directory. */
async function smallDisk() {
  const dir = await tempDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dir.path]);
  return {
    path: dir.path,
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['-l', dir.path]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe.runIf(needs('mount'))('on a full disk', () => {
  test('a blob is refused, nothing of it is left, and what fits is taken', async () => {
    await using disk = await smallDisk();
    await using files = LruDir.open({
      dir: disk.path,
      limitBytes: 2 ** 30,
      durability: 'process',
      env: { log: silentLogger, clock: systemClock },
    });
    const store = diskStore(files, 'web', 'process');
    const [large, small, tiny] = [randomBytes(6_000_000), randomBytes(3_000_000), randomBytes(10_000)];
    for (const source of [large, chunked(large, 100_000)]) {
      await expectFault('STORE_FULL', store.put(digestOf(large), source, signal));
      expect(fs.readdirSync(path.join(disk.path, '.tmp'))).toEqual([]);
    }
    await store.put(digestOf(small), small, signal);
    expect(await store.findMissing([digestOf(large), digestOf(small)], signal)).toEqual([digestOf(large)]);
    fs.writeFileSync(path.join(disk.path, 'filler'), 'x');
    for (let size = 2 ** 20; size >= 4_096; size /= 2) {
      try {
        fs.appendFileSync(path.join(disk.path, 'filler'), Buffer.alloc(size));
      } catch {
        continue; // that much does not fit any more
      }
    }
    await expectFault('STORE_FULL', store.put(digestOf(tiny), tiny, signal));
    fs.rmSync(path.join(disk.path, 'filler'));
    await store.put(digestOf(tiny), tiny, signal);
    expect((await readAll(store, digestOf(tiny))).equals(tiny)).toBe(true);
  });

  test('a tree is not left half made', async () => {
    await using disk = await smallDisk();
    const store = memoryStore();
    const blobs = Array.from({ length: 12 }, () => randomBytes(500_000));
    for (const bytes of blobs) await store.put(digestOf(bytes), bytes, signal);
    const tree = buildTree(blobs.map((bytes, index) => ({ kind: 'file', path: `d/${index}`, digest: digestOf(bytes), executable: false })));
    for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, signal);
    await expectFault('STORE_FULL', materialise(tree.root, path.join(disk.path, 'tree'), storeFileSource(store), signal));
    expect(fs.readdirSync(disk.path)).toEqual([]);
  });
});
