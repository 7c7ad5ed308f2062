import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { expectFault, readAll } from '../test/contract/blob-store.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { blobReader } from './read-blob.ts';
import { digestOf } from './digest.ts';
import { diskStore } from './disk.ts';
import { HashedFiles } from './hashed-files.ts';
import { LruDir } from './lru-dir.ts';

/** By this clock whatever is written now was written a minute ago. */
const later = { ...systemClock, now: () => systemClock.now() + 60_000 };
const { signal } = new AbortController();

async function openFile() {
  const dir = await tempDir();
  const file = path.join(dir.path, 'file');
  fs.writeFileSync(file, 'as it was');
  const fd = fs.openSync(file, 'r');
  return {
    file,
    fd,
    async [Symbol.asyncDispose]() {
      fs.closeSync(fd);
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe('a file that was noted', () => {
  const changes: Readonly<Record<string, (file: string) => void>> = {
    'is written in place': (file) => fs.writeFileSync(file, 'as it is!', { flag: 'r+' }),
    'is written and given its old time back': (file) => {
      const { atime, mtime } = fs.statSync(file);
      fs.writeFileSync(file, 'as it is!', { flag: 'r+' });
      fs.utimesSync(file, atime, mtime);
    },
    'is cut': (file) => fs.truncateSync(file, 4),
    'is used, and its time says so': (file) => fs.utimesSync(file, 1, 1),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`is not known any more once it ${what}`, async () => {
      await using open = await openFile();
      fs.utimesSync(open.file, 5_000, 5_000);
      const files = new HashedFiles(later);
      files.note('name', files.look(open.fd));
      expect(files.has('name', open.fd)).toBe(true);
      expect(files.has('other', open.fd)).toBe(false);
      const { ctimeMs } = fs.statSync(open.file);
      while (fs.statSync(open.file).ctimeMs === ctimeMs) change(open.file); // the file system's clock ticks
      expect(files.has('name', open.fd)).toBe(false);
    });
  }

  test('is forgotten for the sake of newer ones', async () => {
    await using open = await openFile();
    const files = new HashedFiles(later, 2);
    for (const name of ['first', 'second', 'third']) files.note(name, files.look(open.fd));
    expect(['first', 'second', 'third'].filter((name) => files.has(name, open.fd))).toEqual(['second', 'third']);
  });
});

test('a file that was written here is known under its name at once, and not once it is changed or another has its place', async () => {
  await using open = await openFile();
  const files = new HashedFiles(systemClock);
  const [fd, named] = [fs.openSync(open.file, 'r+'), `${open.file}-named`];
  const marked = files.mark(fd);
  fs.renameSync(open.file, named);
  files.noteMarked('name', named, marked);
  expect(files.has('name', fd)).toBe(true);
  fs.writeSync(fd, 'A', 0);
  expect(files.has('name', fd)).toBe(false);
  fs.writeFileSync(open.file, 'as it was');
  files.noteMarked('other', open.file, marked);
  expect(files.has('other', open.fd)).toBe(false);
  fs.closeSync(fd);
});

test('a file that has only just changed is not noted', async () => {
  await using open = await openFile();
  const files = new HashedFiles({ ...systemClock, now: () => Math.floor(fs.fstatSync(open.fd).ctimeMs) + 50 });
  expect(files.look(open.fd)).toBeUndefined();
});

test.for([50_000, 100_000, 5_000_000])(
  'a blob of %i bytes is not hashed again once it is known, and found damaged after a change',
  async (size) => {
    await using dir = await tempDir();
    await using files = LruDir.open({
      dir: dir.path,
      limitBytes: 2 ** 30,
      durability: 'process',
      env: { log: silentLogger, clock: later },
    });
    const store = diskStore(files, 'web', 'process');
    const some = { offset: size / 5, length: (size / 5) * 2 };
    for (const range of [undefined, some]) {
      const bytes = randomBytes(size);
      const digest = digestOf(bytes);
      const file = files.pathOf('web', digest);
      await store.put(digest, bytes, signal);
      for (let round = 0; round < 3; round += 1) {
        expect(Buffer.compare(await blobReader(store)(digest, signal), bytes)).toBe(0);
        const part = await readAll(store, digest, some);
        expect(Buffer.compare(part, bytes.subarray(some.offset, some.offset + some.length))).toBe(0);
      }
      const fd = fs.openSync(file, 'r+');
      expect(files.hashed.has(`web/${digest}`, fd)).toBe(true);
      const damagedAt = (size / 5) * 4;
      fs.writeSync(fd, Buffer.from([(bytes[damagedAt] ?? 0) ^ 1]), 0, 1, damagedAt);
      fs.closeSync(fd);
      await expectFault('BLOB_CORRUPT', readAll(store, digest, range));
      expect(fs.existsSync(file)).toBe(false);
    }
  },
);

test('a blob that lies shorter than its name says is damaged, also where it was known whole', async () => {
  await using dir = await tempDir();
  await using files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 30, durability: 'process', env: { log: silentLogger, clock: later } });
  const store = diskStore(files, 'web', 'process');
  const bytes = randomBytes(100_000);
  const digest = digestOf(bytes);
  await store.put(digest, bytes, signal);
  expect(store.atHand?.(digest)).toEqual(bytes);
  fs.truncateSync(files.pathOf('web', digest), 60_000);
  expect(() => store.atHand?.(digest)).toThrow(expect.objectContaining({ code: 'BLOB_CORRUPT' }));
});
