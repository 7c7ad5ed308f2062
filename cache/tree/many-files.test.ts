import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { blobReader } from '../read-blob.ts';
import { encodeDirectory } from './directory.ts';
import { materialise, type FileToPlace } from './materialise.ts';

const never = new AbortController().signal;
const store = memoryStore();

async function put(bytes: Uint8Array): Promise<Digest> {
  await store.put(digestOf(bytes), bytes, never);
  return digestOf(bytes);
}

/** A tree of 24 directories, each of 1,024 files: more than are asked for together at first. */
async function manyFiles(): Promise<Digest> {
  const name = (at: number) => `f${String(at).padStart(5, '0')}`;
  const files = Array.from({ length: 1_024 }, (_, at) => ({ name: name(at), digest: EMPTY_DIGEST, executable: false }));
  const directories = [];
  for (let at = 0; at < 24; at += 1) {
    const symlinks = [{ name: 'z', target: String(at) }];
    directories.push({ name: name(at), digest: await put(encodeDirectory({ files, directories: [], symlinks })) });
  }
  return put(encodeDirectory({ files: [], directories, symlinks: [] }));
}

type Group = { readonly files: readonly FileToPlace[]; readonly signal: AbortSignal };

test('files of a large tree come in groups, never more than two at a time, and all of them', async () => {
  await using dir = await tempDir();
  const counts = { open: 0, most: 0, files: 0, groups: 0 };
  const placeFiles = async (files: readonly FileToPlace[]) => {
    counts.groups += 1;
    counts.open += 1;
    counts.most = Math.max(counts.most, counts.open);
    for (const file of files) fs.writeFileSync(file.path, '');
    await new Promise((resolve) => setImmediate(resolve));
    counts.files += files.length;
    counts.open -= 1;
  };
  const source = { readDirectory: blobReader(store), placeFile: () => Promise.reject(new Error('one by one')), placeFiles };
  await materialise(await manyFiles(), path.join(dir.path, 'tree'), source, never);
  expect(counts.files).toBe(24 * 1_024);
  expect(counts.groups).toBeGreaterThan(2);
  expect(counts.most).toBeLessThanOrEqual(2);
});

test('a group that fails stops the other one, and nothing is left', async () => {
  await using dir = await tempDir();
  const groups: Group[] = [];
  const second = Promise.withResolvers<void>();
  const placeFiles = async (files: readonly FileToPlace[], signal: AbortSignal) => {
    groups.push({ files, signal });
    if (groups.length === 1) {
      await second.promise;
      throw new Error('the first group failed');
    }
    second.resolve();
    // Ends where it is told to, as fetching does.
    await new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const source = { readDirectory: blobReader(store), placeFile: () => Promise.reject(new Error('one by one')), placeFiles };
  const made = materialise(await manyFiles(), path.join(dir.path, 'tree'), source, never);
  await expect(made).rejects.toThrow('the first group failed');
  expect(groups).toHaveLength(2);
  expect(fs.readdirSync(dir.path)).toEqual([]);
});
