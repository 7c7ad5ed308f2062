import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { expectFault, readAll } from '../test/contract/blob-store.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { digestOf, type Digest } from './digest.ts';
import { diskStore } from './disk.ts';
import { LruDir } from './lru-dir.ts';

const { signal } = new AbortController();

/** Several processes' stores on one directory, as far as they can tell. */
async function openShared(count: number, limitBytes = 2 ** 30) {
  const dir = await tempDir();
  const time = { ms: 0 };
  const clock = { now: () => systemClock.now() + time.ms, monotonic: () => systemClock.monotonic() + time.ms };
  const open = () => LruDir.open({ dir: dir.path, limitBytes, durability: 'process', env: { log: silentLogger, clock } });
  const files = Array.from({ length: count }, open);
  const stores = files.map((one) => diskStore(one, 'web', 'process'));
  const isMissing = async (at: number, digest: Digest) => ((await stores[at]?.findMissing([digest], signal)) ?? []).length > 0;
  const fileOf = (digest: Digest) => files[0]?.pathOf('web', digest) ?? '';
  return {
    dir: dir.path,
    files,
    stores,
    fileOf,
    isMissing,
    pass: (ms: number) => void (time.ms += ms),
    /** A blob that every store has seen to be there. */
    async believedBlob(): Promise<Digest> {
      const bytes = randomBytes(100);
      await stores[0]?.put(digestOf(bytes), bytes, signal);
      for (const at of stores.keys()) expect(await isMissing(at, digestOf(bytes))).toBe(false);
      return digestOf(bytes);
    },
    async [Symbol.asyncDispose]() {
      for (const one of files) await one[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe('what a store believes of a directory that it shares', () => {
  test('is not asked of the disk again for half a minute, and then it is', async () => {
    await using shared = await openShared(1);
    const digest = await shared.believedBlob();
    fs.rmSync(shared.fileOf(digest)); // by hand, which tells nobody
    shared.pass(29_000);
    expect(await shared.isMissing(0, digest)).toBe(false);
    shared.pass(2_000);
    expect(await shared.isMissing(0, digest)).toBe(true);
  });

  test('keeps what is used young on the disk, too', async () => {
    await using shared = await openShared(1);
    const digest = await shared.believedBlob();
    for (let times = 0; times < 10; times += 1) {
      shared.pass(10_000);
      expect(await shared.isMissing(0, digest)).toBe(false);
      const written = fs.statSync(shared.fileOf(digest)).mtimeMs;
      expect(systemClock.now() + (times + 1) * 10_000 - written).toBeLessThan(32_000);
    }
  });

  test.for(['evicted', 'removed', 'found damaged'])('does not outlive a blob that another process has %s', async (how) => {
    await using shared = await openShared(2, 10_000);
    const digest = await shared.believedBlob();
    const [, other] = shared.files;
    if (how === 'removed') other?.remove('web', digest);
    if (how === 'found damaged') {
      fs.writeFileSync(shared.fileOf(digest), randomBytes(100));
      await expectFault('BLOB_CORRUPT', readAll(shared.stores[1] ?? never(), digest));
    }
    if (how === 'evicted') {
      fs.utimesSync(shared.fileOf(digest), 1, 1);
      await other?.evictUnused(systemClock.now() + 60_000);
    }
    expect(await shared.isMissing(0, digest)).toBe(true);
  });

  test('that was found while another process was at the removal does not outlive it', async () => {
    await using shared = await openShared(2);
    const digest = await shared.believedBlob();
    const remove = fs.rmSync;
    const seen: boolean[] = [];
    fs.rmSync = (...args) => {
      shared.files[0]?.catchUp();
      seen.push(shared.files[0]?.believed('web', digest) !== undefined, shared.files[0]?.use('web', digest) !== undefined);
      remove(...args);
    };
    try {
      shared.files[1]?.remove('web', digest);
    } finally {
      fs.rmSync = remove;
    }
    expect(seen).toEqual([false, true]); // what was believed before is not any more, and then it was seen anew
    await nextTurn(); // nobody hears of another process within a turn
    expect(await shared.isMissing(0, digest)).toBe(true);
  });

  test('goes for everybody where a read finds a file gone that somebody removed by hand', async () => {
    await using shared = await openShared(3);
    const [digest, large] = [await shared.believedBlob(), randomBytes(300_000)];
    await shared.stores[0]?.put(digestOf(large), large, signal);
    for (const one of [digest, digestOf(large)]) {
      for (const at of shared.stores.keys()) await shared.isMissing(at, one);
      fs.rmSync(shared.fileOf(one));
      expect(await shared.isMissing(1, one)).toBe(false);
      await expectFault('BLOB_UNKNOWN', readAll(shared.stores[0] ?? never(), one));
      for (const at of shared.stores.keys()) expect(await shared.isMissing(at, one)).toBe(true);
    }
    await shared.stores[1]?.put(digestOf(large), large, signal);
    expect(await shared.isMissing(2, digestOf(large))).toBe(false);
    expect((await readAll(shared.stores[0] ?? never(), digestOf(large))).equals(large)).toBe(true);
  });

  test('lets nobody take a blob for stored that another process has removed', async () => {
    await using shared = await openShared(2);
    const bytes = randomBytes(100);
    for (let times = 0; times < 3; times += 1) {
      await shared.stores[0]?.put(digestOf(bytes), bytes, signal);
      expect(await shared.isMissing(0, digestOf(bytes))).toBe(false);
      expect((await readAll(shared.stores[0] ?? never(), digestOf(bytes))).equals(bytes)).toBe(true);
      shared.files[1]?.remove('web', digestOf(bytes));
    }
  });

  test('ends within a second where the directory was emptied by hand, marks and all', async () => {
    await using shared = await openShared(2);
    const [first, second] = [await shared.believedBlob(), await shared.believedBlob()];
    for (const name of fs.readdirSync(shared.dir)) if (name !== '.tmp') fs.rmSync(path.join(shared.dir, name), { recursive: true });
    shared.pass(1_000);
    for (const digest of [first, second]) expect(await shared.isMissing(0, digest)).toBe(true);
    const again = await shared.believedBlob();
    shared.files[1]?.remove('web', again);
    expect(await shared.isMissing(0, again)).toBe(true);
  });

  test('is nothing where the marks cannot be kept', async () => {
    await using shared = await openShared(1);
    fs.rmSync(path.join(shared.dir, '.removals'));
    fs.mkdirSync(path.join(shared.dir, '.removals'));
    shared.pass(1_000);
    const digest = await shared.believedBlob();
    fs.rmSync(shared.fileOf(digest));
    expect(await shared.isMissing(0, digest)).toBe(true);
  });

  test('is right after whatever stores, looks, reads and removals of three processes, in any order', async () => {
    const blobs = Array.from({ length: 3 }, (_, index) => Buffer.from(`blob ${index}`));
    const process = fc.nat({ max: 2 });
    const blob = fc.nat({ max: blobs.length - 1 });
    const step = fc.record({ at: process, blob, what: fc.constantFrom('put', 'find', 'find', 'find', 'read', 'remove', 'evict') });
    await using shared = await openShared(3);
    const run = async (steps: readonly { at: number; blob: number; what: string }[]) => {
      for (const { at, blob: number, what } of steps) {
        const [files, store, bytes] = [shared.files[at], shared.stores[at], blobs[number]];
        if (files === undefined || store === undefined || bytes === undefined) throw new Error('no such process or blob');
        const digest = digestOf(bytes);
        const isThere = fs.existsSync(shared.fileOf(digest));
        if (what === 'put') await store.put(digest, bytes, signal);
        if (what === 'put') expect(fs.existsSync(shared.fileOf(digest))).toBe(true);
        if (what === 'find') expect(await shared.isMissing(at, digest)).toBe(!isThere);
        if (what === 'read' && isThere) expect((await readAll(store, digest)).equals(bytes)).toBe(true);
        if (what === 'read' && !isThere) await expectFault('BLOB_UNKNOWN', readAll(store, digest));
        if (what === 'remove') files.remove('web', digest);
        if (what === 'evict') await files.evictUnused(systemClock.now() + 60_000);
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), run), { numRuns: 150 });
  });
});

function never(): never {
  throw new Error('there is no such store');
}
