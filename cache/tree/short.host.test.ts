import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { needs } from '../../test/fixtures/host.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { buildTree } from './build.ts';
import { fetchOutputs } from './fetch.ts';
import { materialise, storeFileSource } from './materialise.ts';
import { uploadTree } from './upload.ts';

const { signal } = new AbortController();

async function mounted(options: string) {
  const dir = await tempDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir.path]);
  return {
    path: dir.path,
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['-l', dir.path]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

async function storedTree(count: number, bytes: number) {
  const store = memoryStore();
  const blobs = Array.from({ length: count }, (_, index) => Buffer.alloc(bytes, index + 1));
  const tree = buildTree(blobs.map((blob, index) => ({ kind: 'file', path: `d/${index}`, digest: digestOf(blob), executable: false })));
  const sources = new Map([...tree.encoded, ...blobs.map((blob) => [digestOf(blob), blob] as const)]);
  await uploadTree({ blobs: new Map([...sources].map(([digest, blob]) => [digest, { kind: 'bytes', bytes: blob }])) }, store, signal);
  return { store, root: tree.root };
}

describe.runIf(needs('mount'))('a disk on which a tree cannot be made to its end (failure mode 8)', () => {
  test.for([
    ['has no more bytes', 'size=2m', 40, 100_000],
    ['has no more inodes', 'nr_inodes=20', 40, 10],
  ] as const)('that %s: the target is as it was, and nothing is left beside it', async ([, options, count, bytes]) => {
    await using disk = await mounted(options);
    const { store, root } = await storedTree(count, bytes);
    const out = path.join(disk.path, 'out');
    fs.mkdirSync(out);
    fs.writeFileSync(path.join(out, 'old'), 'as it was');
    await expect(materialise(root, path.join(disk.path, 'new'), storeFileSource(store), signal)).rejects.toMatchObject({
      code: 'STORE_FULL',
    });
    const entry = { kind: 'directory' as const, path: 'out', root, tree: root, bytes: 0 };
    await expect(fetchOutputs([entry], disk.path, store, signal)).rejects.toMatchObject({ code: 'STORE_FULL' });
    expect(fs.readdirSync(disk.path)).toEqual(['out']);
    expect(fs.readFileSync(path.join(out, 'old'), 'utf8')).toBe('as it was');
  });

  test('that is read-only: the error says so, and nothing is touched', async () => {
    await using disk = await mounted('size=2m');
    fs.writeFileSync(path.join(disk.path, 'old'), 'as it was');
    execFileSync('mount', ['-o', 'remount,ro', disk.path]);
    const { store, root } = await storedTree(3, 10);
    await expect(materialise(root, path.join(disk.path, 'new'), storeFileSource(store), signal)).rejects.toThrow('EROFS');
    expect(fs.readdirSync(disk.path)).toEqual(['old']);
  });
});
