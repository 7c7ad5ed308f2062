import { expect, test } from 'vitest';
import { readAll } from '../test/contract/blob-store.ts';
import { storeOfContract, viewIn } from '../test/contract/store-of.ts';
import { openPackRig } from '../test/fixtures/pack-rig.ts';
import { digestOf } from './digest.ts';
import { memoryStore } from './memory.ts';
import { newBlobCounters, withBlobCounts } from './with-blob-counts.ts';

const { signal } = new AbortController();

async function openCounted() {
  const rig = await openPackRig();
  const counters = newBlobCounters();
  return { storeOf: withBlobCounts(rig.packs.storeOf, counters), counters, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

storeOfContract({ name: 'packs that are counted', damageable: false, open: openCounted });

test('what passes is counted, a part of a blob by its bytes, and what fails is not', async () => {
  await using counted = await openCounted();
  const bytes = Buffer.from('some bytes');
  const [there, missing] = [digestOf(bytes), digestOf(Buffer.from('others'))];
  const store = counted.storeOf(viewIn('web', 'main'));
  await store.put(there, bytes, signal);
  await expect(store.put(missing, bytes, signal)).rejects.toThrow();
  expect((await readAll(store, there)).toString()).toBe('some bytes');
  for await (const _ of store.get(there, { offset: 5 }, signal));
  await expect(readAll(store, missing)).rejects.toThrow();
  expect(await store.findMissing([there, missing], signal)).toEqual([missing]);
  expect(counted.counters).toEqual({ readBlobs: 2, readBytes: 15, storedBlobs: 1, storedBytes: 10, there: 1, missing: 1 });
});

test('a blob that is at hand is counted as one that was read', () => {
  const bytes = Buffer.from('some bytes');
  const counters = newBlobCounters();
  const store = withBlobCounts(
    () => ({ ...memoryStore(), atHand: (digest) => (digest === digestOf(bytes) ? bytes : undefined) }),
    counters,
  );
  const view = store(viewIn('web', 'main'));
  expect(view.atHand?.(digestOf(bytes))).toBe(bytes);
  expect(view.atHand?.(digestOf(Buffer.from('others')))).toBeUndefined();
  expect(counters).toEqual({ ...newBlobCounters(), readBlobs: 1, readBytes: 10 });
});
