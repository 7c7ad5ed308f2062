import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { memoryLogger } from '../base/log.ts';
import { chunked, expectFault, readAll } from '../test/contract/blob-store.ts';
import { storeOfContract, viewIn } from '../test/contract/store-of.ts';
import { openPackRig } from '../test/fixtures/pack-rig.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { digestOf } from './digest.ts';
import { diskStore, diskStores } from './disk.ts';
import { LruDir } from './lru-dir.ts';
import { groupsOf, partitionOf } from './owner.ts';
import { withLocalTier } from './with-local-tier.ts';

const { signal } = new AbortController();

/** Packs behind a local tier on disk. */
async function openTiered(limits: { readonly limitBytes?: number; readonly blobBytesMax?: number } = {}) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const rig = stack.use(await openPackRig());
  const env = { log: memoryLogger(), clock: systemClock };
  const files = stack.use(LruDir.open({ dir: dir.path, limitBytes: limits.limitBytes ?? 2 ** 28, durability: 'process', groupsOf, env }));
  const storeOf = withLocalTier({
    remote: rig.packs,
    localOf: (owner) => diskStore(files, partitionOf(owner), 'process'),
    local: diskStores(files, 'process'),
    blobBytesMax: limits.blobBytesMax ?? 2 ** 26,
    env,
  });
  const parts = stack.move();
  return { storeOf, rig, files, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

storeOfContract({ name: 'packs behind a local tier', damageable: false, open: openTiered });

test.for([100, 3_000_000, 20_000_000])('%i bytes that were stored or read once are read without the store from then on', async (size) => {
  await using tiered = await openTiered();
  const { storeOf, rig, files } = tiered;
  const bytes = randomBytes(size);
  const digest = digestOf(bytes);
  const store = storeOf(viewIn('web', 'main'));
  await store.put(digest, chunked(bytes, 65_536), signal);
  expect((await readAll(store, digest)).equals(bytes)).toBe(true);
  expect(rig.packs.counters.ranges).toBe(0);
  files.remove(partitionOf({ project: 'web', scope: 'main' }), digest);
  const below = storeOf(viewIn('web', 'main/pr-7'));
  expect((await readAll(below, digest)).equals(bytes)).toBe(true);
  const { ranges } = rig.packs.counters;
  expect(ranges).toBeGreaterThan(0);
  // What a scope below fetched was kept as the scope's whose it is.
  expect(files.use(partitionOf({ project: 'web', scope: 'main' }), digest)).toBe(size);
  expect((await readAll(store, digest)).equals(bytes)).toBe(true);
  expect(rig.packs.counters.ranges).toBe(ranges);
});

test('what is only local is not called stored', async () => {
  await using tiered = await openTiered();
  const bytes = randomBytes(1_000);
  const digest = digestOf(bytes);
  const store = tiered.storeOf(viewIn('web', 'main'));
  await store.put(digest, bytes, signal);
  const [row] = await tiered.rig.index.packs({}, undefined, 1, signal);
  if (row === undefined) throw new Error('no pack');
  await tiered.rig.index.forget(row.owner, [{ digest, pack: row.name }], signal);
  expect(await store.findMissing([digest], signal)).toEqual([digest]);
});

test('a copy is not given out of what the store has no more, and where the store does not answer it is', async () => {
  await using tiered = await openTiered();
  const { storeOf, rig, files } = tiered;
  const bytes = randomBytes(1_000);
  const digest = digestOf(bytes);
  const store = storeOf(viewIn('web', 'main'));
  await store.put(digest, bytes, signal);
  const [row] = await rig.index.packs({}, undefined, 1, signal);
  if (row === undefined) throw new Error('no pack');
  const failing = withLocalTier({
    remote: { storeOf: rig.packs.storeOf, ownerOf: () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'the index is away')) },
    localOf: (owner) => diskStore(files, partitionOf(owner), 'process'),
    local: diskStores(files, 'process'),
    blobBytesMax: 2 ** 26,
    env: { log: memoryLogger(), clock: systemClock },
  });
  await rig.index.forget(row.owner, [{ digest, pack: row.name }], signal);
  await expectFault('BLOB_UNKNOWN', readAll(store, digest));
  expect(files.use(partitionOf(row.owner), digest)).toBe(1_000); // it lies close all the same
  expect((await readAll(failing(viewIn('web', 'main')), digest)).equals(bytes)).toBe(true);
});

test('many who want one blob at once fetch it once', async () => {
  await using tiered = await openTiered();
  const bytes = randomBytes(700_000);
  const digest = digestOf(bytes);
  await tiered.rig.packs.storeOf(viewIn('web', 'main')).put(digest, bytes, signal);
  const store = tiered.storeOf(viewIn('web', 'main'));
  const read = await Promise.all(Array.from({ length: 20 }, () => readAll(store, digest)));
  expect(read.every((got) => got.equals(bytes))).toBe(true);
  expect(tiered.rig.packs.counters.rangeBytes).toBeLessThan(size(bytes) * 1.1);
});

test('many who read one large blob at once keep one copy of it, and push nothing else out', async () => {
  await using tiered = await openTiered({ limitBytes: 2 ** 25 });
  const [small, large] = [randomBytes(1_000), randomBytes(9_000_000)];
  const store = tiered.storeOf(viewIn('web', 'main'));
  await store.put(digestOf(small), small, signal);
  await tiered.rig.packs.storeOf(viewIn('web', 'main')).put(digestOf(large), large, signal);
  const read = await Promise.all(Array.from({ length: 6 }, () => readAll(store, digestOf(large))));
  expect(read.every((got) => got.equals(large))).toBe(true);
  const kept = (bytes: Uint8Array) => tiered.files.use(partitionOf({ project: 'web', scope: 'main' }), digestOf(bytes));
  expect([kept(small), kept(large)]).toEqual([size(small), size(large)]);
});

test('a blob that is too large for the tier, or a tier that has no room, is no trouble', async () => {
  await using tiered = await openTiered({ limitBytes: 100_000, blobBytesMax: 2 ** 26 });
  for (const length of [50_000, 700_000, 9_000_000]) {
    const bytes = randomBytes(length);
    const digest = digestOf(bytes);
    const store = tiered.storeOf(viewIn('web', 'main'));
    await store.put(digest, chunked(bytes, 65_536), signal);
    await store.put(digestOf(bytes.subarray(1)), bytes.subarray(1), signal);
    expect((await readAll(store, digest)).equals(bytes)).toBe(true);
    expect((await readAll(store, digest, { offset: 7, length: 100 })).equals(bytes.subarray(7, 107))).toBe(true);
  }
});

test('a reader that leaves in the middle leaves nothing half behind', async () => {
  await using tiered = await openTiered();
  const bytes = randomBytes(20_000_000);
  const digest = digestOf(bytes);
  await tiered.rig.packs.storeOf(viewIn('web', 'main')).put(digest, bytes, signal);
  const store = tiered.storeOf(viewIn('web', 'main'));
  for await (const chunk of store.get(digest, undefined, signal)) {
    expect(chunk.byteLength).toBeGreaterThan(0);
    break;
  }
  expect(tiered.files.use(partitionOf({ project: 'web', scope: 'main' }), digest)).toBeUndefined();
  await expectFault('BLOB_UNKNOWN', readAll(tiered.storeOf(viewIn('web', 'other')), digest));
});

function size(bytes: Uint8Array): number {
  return bytes.byteLength;
}
