import { expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { encodeStepResult } from '../action/action-result.ts';
import { NO_USAGE, type OutputEntry } from '../action/result.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf, type Digest } from '../digest.ts';
import { wholeTree } from '../layer/tree-message.ts';
import { memoryStore } from '../memory.ts';
import { blobReader } from '../read-blob.ts';
import { buildTree } from '../tree/build.ts';
import { checkBlobs } from './check-blobs.ts';

const { signal } = new AbortController();
const [INSIDE, SINGLE] = [Buffer.from('inside of a directory'), Buffer.from('a file')];

/** A store with a directory of one file, and a file; and the value that names them. */
async function entry() {
  const store = memoryStore();
  const { encoded, root } = buildTree([{ kind: 'file', path: 'deep/x', digest: digestOf(INSIDE), executable: false }]);
  for (const [digest, bytes] of encoded) await store.put(digest, bytes, signal);
  const message = (await wholeTree(root, blobReader(store), signal)).message;
  for (const bytes of [message, INSIDE, SINGLE]) await store.put(digestOf(bytes), bytes, signal);
  const outputs: readonly OutputEntry[] = [
    { kind: 'directory', path: 'mods', tree: digestOf(message), root, bytes: INSIDE.byteLength },
    { kind: 'file', path: 'f', digest: digestOf(SINGLE), executable: false },
  ];
  const value = encodeStepResult({ exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 });
  return { store, value, tree: digestOf(message) };
}

/** As `store`, which throws `code` for some blobs. */
function failing(store: BlobStore, code: 'BLOB_UNKNOWN' | 'BLOB_CORRUPT' | 'STORE_UNAVAILABLE', digests: readonly Digest[]): BlobStore {
  return {
    traits: store.traits,
    async *get(digest, range, at) {
      if (digests.includes(digest)) throw new Fault(code, `Blob ${digest}`);
      yield* store.get(digest, range, at);
    },
    put: (digest, source, at) => store.put(digest, source, at),
    findMissing: (all, at) => store.findMissing(all, at),
  };
}

test('all blobs of an entry are read: files, trees, and what is in them', async () => {
  const { store, value } = await entry();
  const { blobCount, missing, damaged, readBytes } = await checkBlobs(value, store, signal);
  expect({ blobCount, missing, damaged }).toEqual({ blobCount: 5, missing: [], damaged: [] }); // tree, two directories, two files
  expect(readBytes).toBeGreaterThan(INSIDE.byteLength + SINGLE.byteLength);
});

test('what is missing is told from what is damaged, and neither keeps the rest from being read', async () => {
  const { store, value } = await entry();
  const without = failing(failing(store, 'BLOB_UNKNOWN', [digestOf(INSIDE)]), 'BLOB_CORRUPT', [digestOf(SINGLE)]);
  const checked = await checkBlobs(value, without, signal);
  expect({ ...checked }).toMatchObject({ blobCount: 5, missing: [digestOf(INSIDE)], damaged: [digestOf(SINGLE)] });
});

test('a tree that is gone is missing itself; what it names is not known', async () => {
  const { store, value, tree } = await entry();
  const checked = await checkBlobs(value, failing(store, 'BLOB_UNKNOWN', [tree]), signal);
  expect({ ...checked }).toMatchObject({ blobCount: 3, missing: [tree], damaged: [] });
});

test('a store in trouble is no damage', async () => {
  const { store, value } = await entry();
  const away = failing(store, 'STORE_UNAVAILABLE', [digestOf(SINGLE)]);
  await expect(checkBlobs(value, away, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
