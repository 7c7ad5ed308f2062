import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { chunked, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { openPackRig } from '../../test/fixtures/pack-rig.ts';
import { digestOf } from '../digest.ts';
import { openEpoch } from '../gc/open-epoch.ts';
import { putCondemnRecord } from '../gc/condemn-records.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import type { StoreIndex } from '../store-index/store-index.ts';
import { keepIndex } from './index-keeper.ts';
import { newPackName, packKey } from './names.ts';
import { openPackStore } from './open.ts';
import { rebuildIndex, type RebuildOptions } from './rebuild.ts';

const { signal } = new AbortController();
const GRACE_MS = 60_000;

function optionsOf(objects: ObjectStore, index: StoreIndex, more: Partial<RebuildOptions> = {}) {
  const log = memoryLogger();
  return { objects, index, restoreEntries: async () => {}, env: { log, clock: systemClock }, graceMs: GRACE_MS, log, ...more };
}

/** A new index of the same bucket, closed, and a pack store over both. */
function elsewhere(objects: ObjectStore) {
  const index = memoryStoreIndex({ clock: systemClock, ready: false });
  const packs = openPackStore({ objects, index, env: { log: memoryLogger(), clock: systemClock }, durability: 'none' });
  return { index, packs };
}

/** Stores blobs of every kind in two scopes, in several packs. */
async function fill(rig: Awaited<ReturnType<typeof openPackRig>>) {
  const blobs: { readonly scope: string; readonly bytes: Buffer }[] = [];
  for (const scope of ['main', 'main/pr-7']) {
    const store = rig.packs.storeOf(viewIn('web', scope));
    const bytes = [
      ...Array.from({ length: 30 }, (_, index) => Buffer.from(`${scope} ${index}`)),
      randomBytes(2_500_000),
      Buffer.alloc(3_000_000, `${scope} text `),
    ];
    await Promise.all(bytes.map((blob) => store.put(digestOf(blob), chunked(blob, 300_000), signal)));
    await store.put(digestOf(Buffer.from(`later ${scope}`)), Buffer.from(`later ${scope}`), signal);
    blobs.push(...bytes.map((blob) => ({ scope, bytes: blob })), { scope, bytes: Buffer.from(`later ${scope}`) });
  }
  return blobs;
}

describe('an index that was lost', () => {
  test('is made again from the bucket, and finds every blob of every owner', async () => {
    await using rig = await openPackRig();
    const blobs = await fill(rig);
    const { index, packs } = elsewhere(rig.objects);
    await using _ = packs;
    await expectFault('STORE_UNAVAILABLE', packs.storeOf(viewIn('web', 'main')).findMissing([digestOf(Buffer.from('x'))], signal));
    let hadPacks = 0;
    const restoreEntries = async () => void (hadPacks = (await index.packs({}, undefined, 100, signal)).length);
    const rebuilt = await rebuildIndex(optionsOf(rig.objects, index, { restoreEntries }), signal);
    expect(rebuilt).toMatchObject({ packs: rig.packs.counters.packsPut, condemned: 0, refused: [] });
    expect(hadPacks).toBe(rebuilt.packs);
    expect(await index.epoch(signal)).toMatchObject({ open: true, complete: true });
    for (const { scope, bytes } of blobs) {
      const store = packs.storeOf({ ...viewIn('web', scope), reads: [scope] });
      expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
      expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    }
    const main = packs.storeOf(viewIn('web', 'main'));
    const others = blobs.filter(({ scope }) => scope !== 'main').map(({ bytes }) => digestOf(bytes));
    expect(new Set(await main.findMissing(others, signal))).toEqual(new Set(others));
  });

  test('leaves out packs that are damaged, cut off, of a newer format or of no pack at all, and says which', async () => {
    await using rig = await openPackRig();
    const blobs = await fill(rig);
    const keys = [...rig.objects.contents().keys()];
    const [cut = '', flipped = ''] = keys;
    const whole = rig.objects.contents().get(cut) ?? Buffer.alloc(0);
    await rig.objects.put(cut, whole.slice(0, whole.byteLength - 10), { ifAbsent: false }, signal);
    const bytes = rig.objects.contents().get(flipped);
    if (bytes !== undefined) bytes[bytes.byteLength - 70] = (bytes.at(-70) ?? 0) ^ 1;
    const empty = packKey(newPackName());
    await rig.objects.put(empty, new Uint8Array(0), { ifAbsent: true }, signal);
    await rig.objects.put('p/readme', Buffer.from('not a pack'), { ifAbsent: true }, signal);
    const { index, packs } = elsewhere(rig.objects);
    await using _ = packs;
    const options = optionsOf(rig.objects, index);
    const rebuilt = await rebuildIndex(options, signal);
    expect(rebuilt.refused.map(({ key }) => key).toSorted()).toEqual([cut, flipped, empty, 'p/readme'].toSorted());
    expect(rebuilt.packs).toBe(keys.length - 2);
    expect(options.log.entries.filter(({ event }) => event === 'pack-refused')).toHaveLength(3);
    // Nothing that is found is wrong, and what is not can be stored again.
    for (const { scope, bytes: blob } of blobs) {
      const store = packs.storeOf(viewIn('web', scope));
      if ((await store.findMissing([digestOf(blob)], signal)).length > 0) await store.put(digestOf(blob), blob, signal);
      expect((await readAll(store, digestOf(blob))).equals(blob)).toBe(true);
    }
  });

  test('takes up no pack that is condemned', async () => {
    await using rig = await openPackRig();
    await openEpoch(optionsOf(rig.objects, rig.index), signal);
    const bytes = Buffer.from('to be deleted');
    await rig.packs.storeOf(viewIn('web', 'main')).put(digestOf(bytes), bytes, signal);
    const [pack] = await rig.index.packs({}, undefined, 1, signal);
    if (pack === undefined) throw new Error('no pack');
    await putCondemnRecord(rig.objects, pack.name, (await rig.index.epoch(signal)).epoch, signal);
    const { index, packs } = elsewhere(rig.objects);
    await using _ = packs;
    expect(await rebuildIndex(optionsOf(rig.objects, index), signal)).toMatchObject({ packs: 0, condemned: 1 });
    expect(await packs.storeOf(viewIn('web', 'main')).findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('is made again by itself, also while blobs are stored, and by one process of several', async () => {
    await using rig = await openPackRig();
    const blobs = await fill(rig);
    const { index, packs } = elsewhere(rig.objects);
    await using _ = packs;
    const options = optionsOf(rig.objects, index, {});
    await using first = keepIndex({ ...options, everyMs: 10 });
    await using second = keepIndex({ ...options, everyMs: 10 });
    await first.opened(signal);
    const meanwhile = randomBytes(1_000);
    await packs.storeOf(viewIn('web', 'main')).put(digestOf(meanwhile), meanwhile, signal);
    await first.completed(signal);
    await second.completed(signal);
    const main = blobs.filter(({ scope }) => scope === 'main').map(({ bytes }) => digestOf(bytes));
    expect(await packs.storeOf(viewIn('web', 'main')).findMissing([...main, digestOf(meanwhile)], signal)).toEqual([]);
    expect(options.log.entries.filter(({ event }) => event === 'index-rebuilt')).toHaveLength(1);
  });
});
