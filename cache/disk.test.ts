import { hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { blobStoreContract, chunked, expectFault, readAll } from '../test/contract/blob-store.ts';
import { storeOfContract } from '../test/contract/store-of.ts';
import { digestOf, type Digest } from './digest.ts';
import { diskStore, diskStores } from './disk.ts';
import { LruDir } from './lru-dir.ts';
import { partitionOf } from './owner.ts';

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };

/** How temporary files of this host begin. */
const HERE = hash('sha256', os.hostname(), 'hex').slice(0, 12);

type Options = { readonly dir?: string; readonly limitBytes?: number; readonly durability?: 'process' | 'power' };

async function openDisk(options: Options = {}) {
  const dir = options.dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'disk-'));
  const durability = options.durability ?? 'process';
  const files = LruDir.open({ dir, limitBytes: options.limitBytes ?? 2 ** 30, durability, env });
  return {
    dir,
    files,
    store: diskStore(files, 'web', durability),
    damage: (digest: Digest) => damage(files.pathOf('web', digest)),
    [Symbol.asyncDispose]: async () => {
      await files[Symbol.asyncDispose]();
      if (options.dir === undefined) fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

function damage(file: string): void {
  const bytes = fs.readFileSync(file);
  bytes[bytes.byteLength - 1] = (bytes[bytes.byteLength - 1] ?? 0) ^ 1;
  fs.writeFileSync(file, bytes);
}

blobStoreContract({ name: 'disk', damageable: true, open: () => openDisk() });
blobStoreContract({ name: 'disk with durability against loss of power', damageable: true, open: () => openDisk({ durability: 'power' }) });
storeOfContract({
  name: 'disk',
  damageable: true,
  async open() {
    const disk = await openDisk();
    return {
      storeOf: diskStores(disk.files, 'process'),
      damage: (owner, digest) => damage(disk.files.pathOf(partitionOf(owner), digest)),
      [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
    };
  },
});

describe('a disk store', () => {
  test('keeps its blobs when it is opened again, and forgets the least recently used ones when it is full', async () => {
    await using first = await openDisk({ limitBytes: 300_000 });
    const blobs = Array.from({ length: 3 }, () => randomBytes(90_000));
    const [oldest, middle, newest] = blobs.map(digestOf);
    const hourAgo = systemClock.now() / 1_000 - 3_600;
    for (const [index, bytes] of blobs.entries()) {
      await first.store.put(digestOf(bytes), bytes, signal);
      fs.utimesSync(first.files.pathOf('web', digestOf(bytes)), hourAgo + index, hourAgo + index);
    }
    await using again = await openDisk({ dir: first.dir, limitBytes: 300_000 });
    if (oldest === undefined || middle === undefined || newest === undefined) throw new Error('three blobs');
    expect((await readAll(again.store, oldest)).byteLength).toBe(90_000);
    const more = randomBytes(100_000);
    await again.store.put(digestOf(more), more, signal);
    await again.files.scanned();
    expect(await again.store.findMissing([oldest, middle, newest, digestOf(more)], signal)).toEqual([middle]);
  });

  test('finishes a read of a blob that is evicted meanwhile', async () => {
    await using disk = await openDisk({ limitBytes: 5_000_000 });
    const bytes = randomBytes(4_000_000);
    await disk.store.put(digestOf(bytes), bytes, signal);
    const read: Uint8Array[] = [];
    for await (const chunk of disk.store.get(digestOf(bytes), undefined, signal)) {
      read.push(Uint8Array.from(chunk));
      if (read.length > 1) continue;
      const other = randomBytes(4_000_000);
      await disk.store.put(digestOf(other), other, signal);
      expect(await disk.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    }
    expect(Buffer.compare(Buffer.concat(read), bytes)).toBe(0);
  });

  test('a flood in one partition evicts nothing of another', async () => {
    await using disk = await openDisk({ limitBytes: 1_000_000 });
    const quiet = diskStore(disk.files, 'quiet', 'process');
    const bytes = randomBytes(100_000);
    await quiet.put(digestOf(bytes), bytes, signal);
    for (let round = 0; round < 30; round += 1) {
      const flood = randomBytes(100_000);
      await disk.store.put(digestOf(flood), flood, signal);
    }
    expect(await quiet.findMissing([digestOf(bytes)], signal)).toEqual([]);
    expect(await disk.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('bytes that one partition only announces evict nothing of another', async () => {
    await using disk = await openDisk({ limitBytes: 1_000_000 });
    const quiet = diskStore(disk.files, 'quiet', 'process');
    const blobs = Array.from({ length: 4 }, () => randomBytes(100_000));
    for (const bytes of blobs) await quiet.put(digestOf(bytes), bytes, signal);
    const announced = randomBytes(900_000);
    await expectFault('STORE_FULL', disk.store.put(digestOf(announced), chunked(announced, 100_000), signal));
    expect(await quiet.findMissing(blobs.map(digestOf), signal)).toEqual([]);
  });

  test('refuses what can never fit, and what does not fit beside the writes under way', async () => {
    await using disk = await openDisk({ limitBytes: 1_000 });
    const large = randomBytes(1_001);
    await expectFault('STORE_FULL', disk.store.put(digestOf(large), large, signal));
    const [first, second] = [randomBytes(900), randomBytes(900)];
    const gate = Promise.withResolvers<void>();
    const slow = async function* () {
      await gate.promise;
      yield* chunked(first, 100);
    };
    const writing = disk.store.put(digestOf(first), slow(), signal);
    await expectFault('STORE_FULL', disk.store.put(digestOf(second), second, signal));
    gate.resolve();
    await writing;
    await disk.store.put(digestOf(second), second, signal);
    expect(await disk.store.findMissing([digestOf(first), digestOf(second)], signal)).toEqual([digestOf(first)]);
  });

  test('a truncated file is missing, not served', async () => {
    await using disk = await openDisk();
    const bytes = randomBytes(10_000);
    await disk.store.put(digestOf(bytes), bytes, signal);
    fs.truncateSync(disk.files.pathOf('web', digestOf(bytes)), 9_999);
    expect(await disk.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    await disk.store.put(digestOf(bytes), bytes, signal);
    expect((await readAll(disk.store, digestOf(bytes))).byteLength).toBe(10_000);
  });

  test('a small blob is at hand as a whole, and counts as used; a large, absent or damaged one is not', async () => {
    await using disk = await openDisk();
    const [small, large, damaged] = [randomBytes(5_000), randomBytes(300_000), randomBytes(50)];
    for (const bytes of [small, large, damaged]) await disk.store.put(digestOf(bytes), bytes, signal);
    const file = disk.files.pathOf('web', digestOf(small));
    fs.utimesSync(file, 1, 1);
    expect(Buffer.from(disk.store.atHand?.(digestOf(small)) ?? [])).toEqual(small);
    expect(fs.statSync(file).mtimeMs).toBeGreaterThan(1_000);
    for (const bytes of [large, randomBytes(5)]) expect(disk.store.atHand?.(digestOf(bytes))).toBeUndefined();
    disk.damage(digestOf(damaged));
    expect(() => disk.store.atHand?.(digestOf(damaged))).toThrow(expect.objectContaining({ code: 'BLOB_CORRUPT' }));
    expect(await disk.store.findMissing([digestOf(damaged)], signal)).toEqual([digestOf(damaged)]);
  });

  test('what another process removed is not at hand any more', async () => {
    await using disk = await openDisk();
    await using other = await openDisk({ dir: disk.dir });
    const bytes = randomBytes(100);
    await disk.store.put(digestOf(bytes), bytes, signal);
    other.files.remove('web', digestOf(bytes));
    expect(disk.store.atHand?.(digestOf(bytes))).toBeUndefined();
    expect(await disk.store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('a view has at hand what its scopes hold, and nothing of others', async () => {
    await using disk = await openDisk();
    const stores = diskStores(disk.files, 'process');
    const view = (scope: string, ...above: string[]) => ({ project: 'web', reads: [scope, ...above], writes: scope, producer: 'p' });
    const bytes = randomBytes(100);
    await stores(view('main')).put(digestOf(bytes), bytes, signal);
    expect(stores(view('main/pr-7', 'main')).atHand?.(digestOf(bytes))).toEqual(bytes);
    expect(stores(view('release')).atHand?.(digestOf(bytes))).toBeUndefined();
  });

  test('removes what a dead writer left, and nothing of a live one', async () => {
    await using disk = await openDisk();
    const temporary = path.join(disk.dir, '.tmp');
    fs.writeFileSync(path.join(temporary, `${HERE}.4194305.abc`), 'left behind'); // above the largest pid of Linux
    fs.writeFileSync(path.join(temporary, `${HERE}.${process.ppid}.abc`), 'being written');
    await using _ = await openDisk({ dir: disk.dir });
    expect(fs.readdirSync(temporary)).toEqual([`${HERE}.${process.ppid}.abc`]);
  });

  test('two stores on one directory see each other, and spare what the other uses', async () => {
    await using first = await openDisk({ limitBytes: 250_000 });
    const blobs = Array.from({ length: 2 }, () => randomBytes(100_000));
    const [used, unused] = blobs.map(digestOf);
    if (used === undefined || unused === undefined) throw new Error('two blobs');
    const hourAgo = systemClock.now() / 1_000 - 3_600;
    for (const [index, bytes] of blobs.entries()) {
      await first.store.put(digestOf(bytes), bytes, signal);
      fs.utimesSync(first.files.pathOf('web', digestOf(bytes)), hourAgo + index, hourAgo + index);
    }
    await using second = await openDisk({ dir: first.dir, limitBytes: 250_000 });
    await second.files.scanned();
    await first.store.findMissing([used], signal);
    const more = randomBytes(100_000);
    await second.store.put(digestOf(more), more, signal);
    expect(await first.store.findMissing([used, unused, digestOf(more)], signal)).toEqual([unused]);
  });
});
