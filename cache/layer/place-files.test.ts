import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf, type Digest } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { bulkSourceOf, type BulkSource } from './bulk-source.ts';
import { openFileWriters } from './file-writers.ts';
import { fetchFiles } from './place-files.ts';

const never = new AbortController().signal;

async function stored(store: BlobStore, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let index = 0; index < count; index += 1) {
    const bytes = Buffer.from(`content ${index}`.repeat(index % 50 === 0 ? 2_000 : 3));
    await store.put(digestOf(bytes), bytes, never);
    digests.push(digestOf(bytes));
  }
  return digests;
}

const filesOf = (dir: string, digests: readonly Digest[], count: number) =>
  Array.from({ length: count }, (_, index) => ({
    path: path.join(dir, `file-${index}`),
    digest: digests[index % digests.length] ?? digestOf(new Uint8Array(0)),
    executable: index % 7 === 0,
    mode: index % 7 === 0 ? 0o755 : 0o644,
    mtimeS: 1_000 + index,
  }));

describe('files that are fetched straight into place', () => {
  test.for([[1_200], [40]] as const)('are all there, %s of them, with each blob asked for once', async ([count]) => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const inner = memoryStore();
    const digests = await stored(inner, 30);
    const reads: Digest[] = [];
    const store: BlobStore = {
      ...inner,
      get(digest, range, signal) {
        reads.push(digest);
        return inner.get(digest, range, signal);
      },
    };
    const files = filesOf(dir.path, digests, count);
    const bytesIn = await fetchFiles(files, store, writers, never);
    expect(reads.toSorted()).toEqual(digests.toSorted());
    expect(bytesIn).toBe(digests.reduce((sum, digest) => sum + Number(digest.slice(65)), 0));
    for (const file of files) {
      const stat = fs.statSync(file.path);
      expect([digestOf(fs.readFileSync(file.path)), stat.mode & 0o777, stat.mtimeMs]).toEqual([
        file.digest,
        file.mode,
        file.mtimeS * 1_000,
      ]);
    }
  });

  test('come in bulk from a store that has a way of its own', async () => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const inner = memoryStore();
    const digests = await stored(inner, 20);
    const asked: number[] = [];
    const bulk: BlobStore & BulkSource = {
      ...inner,
      get: () => {
        throw new Error('one by one');
      },
      async *getMany(wanted) {
        asked.push(wanted.length);
        yield* bulkSourceOf(inner).getMany(wanted.toReversed(), never);
      },
    };
    await fetchFiles(filesOf(dir.path, digests, 60), bulk, writers, never);
    expect(asked).toEqual([20]);
    expect(fs.readdirSync(dir.path)).toHaveLength(60);
  });

  test.for([[1_200], [40]] as const)('fail with the digest where a blob is missing, wrong or left out (%s files)', async ([count]) => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const store = memoryStore();
    const digests = await stored(store, 30);
    const missing = digestOf(Buffer.from('nowhere'));
    const into = (name: string) => {
      fs.mkdirSync(path.join(dir.path, name));
      return path.join(dir.path, name);
    };
    await expect(fetchFiles(filesOf(into('a'), [...digests, missing], count), store, writers, never)).rejects.toThrow(missing);
    const lying: BlobStore = {
      ...store,
      async *get(digest, range, signal) {
        if (digest === digests[7]) yield Buffer.from('x'.repeat(Number(digest.slice(65))));
        else yield* store.get(digest, range, signal);
      },
    };
    await expectFault('BLOB_CORRUPT', fetchFiles(filesOf(into('b'), digests, count), lying, writers, never));
    expect(fs.existsSync(path.join(dir.path, 'b/file-7'))).toBe(false);
    const short: BlobStore & BulkSource = { ...store, getMany: (wanted, signal) => bulkSourceOf(store).getMany(wanted.slice(1), signal) };
    await expectFault('BLOB_UNKNOWN', fetchFiles(filesOf(into('c'), digests, count), short, writers, never));
    await expect(fetchFiles(filesOf(into('d'), digests, count), store, writers, AbortSignal.abort(new Error('stop')))).rejects.toThrow();
    const there = filesOf(into('e'), digests, count);
    fs.writeFileSync(there[3]?.path ?? '', 'as it was');
    await expect(fetchFiles(there, store, writers, never)).rejects.toThrow('EEXIST');
    expect(fs.readFileSync(there[3]?.path ?? '', 'utf8')).toBe('as it was');
  });
});
