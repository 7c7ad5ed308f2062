import { expect, test } from 'vitest';
import { blobStoreContract, readAll } from '../test/contract/blob-store.ts';
import { storeOfContract } from '../test/contract/store-of.ts';
import { digestOf } from './digest.ts';
import { memoryStore, memoryStores } from './memory.ts';

const { signal } = new AbortController();

blobStoreContract({
  name: 'memory',
  damageable: false,
  open: async () => ({ store: memoryStore(), [Symbol.asyncDispose]: async () => {} }),
});

storeOfContract({
  name: 'memory',
  damageable: false,
  open: async () => ({ storeOf: memoryStores(), [Symbol.asyncDispose]: async () => {} }),
});

test('a full memory store forgets what was used least', async () => {
  const store = memoryStore({ limitBytes: 30 });
  const blobs = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc', 'dddddddddd'].map((text) => Buffer.from(text));
  const digests = blobs.map(digestOf);
  for (const bytes of blobs.slice(0, 3)) await store.put(digestOf(bytes), bytes, signal);
  await readAll(store, digestOf(Buffer.from('aaaaaaaaaa')));
  await store.put(digestOf(Buffer.from('dddddddddd')), Buffer.from('dddddddddd'), signal);
  expect(await store.findMissing(digests, signal)).toEqual([digestOf(Buffer.from('bbbbbbbbbb'))]);
});
