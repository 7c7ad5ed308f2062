import { describe, expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { encodeStepResult } from '../action/action-result.ts';
import { NO_USAGE, type StepResult } from '../action/result.ts';
import { encodeTree } from '../action/tree-message.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import type { BlobStore } from '../blob-store.ts';
import { withCompleteEntries } from '../entries/complete.ts';
import { Departures } from '../entries/departures.ts';
import { memoryEntryStore } from '../entries/memory.ts';
import { Needs } from '../entries/needs.ts';
import { digestOf, type Digest } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { buildTree } from '../tree/build.ts';
import type { ActionKey } from './action-cache.ts';
import { entryActionCache } from './entries.ts';

const { signal } = new AbortController();
const key: ActionKey = { project: 'web', scope: 'main', action: digestOf(Buffer.from('action')) };
const bytesOf = (text: string) => Buffer.from(text);

const tree = buildTree([
  { kind: 'file', path: 'a/in-tree', digest: digestOf(bytesOf('in tree')), executable: false },
  { kind: 'directory', path: 'b' },
]);
const treeBytes = encodeTree(tree.directories);
const RESULT: StepResult = {
  exitCode: 0,
  outputs: [
    { kind: 'file', path: 'file', digest: digestOf(bytesOf('file')), executable: false },
    { kind: 'directory', path: 'dir', tree: digestOf(treeBytes), root: tree.root, bytes: 7 },
    { kind: 'symlink', path: 'link', target: 'file' },
  ],
  log: { digest: digestOf(bytesOf('log')), truncated: false },
  usage: NO_USAGE,
  agent: 'a',
  startedAt: 1,
  endedAt: 2,
};
/** Everything that must be there. */
const BLOBS: readonly Uint8Array[] = [bytesOf('file'), bytesOf('in tree'), bytesOf('log'), treeBytes, ...tree.encoded.values()];

const completeCache = (store: BlobStore) =>
  entryActionCache(withCompleteEntries(memoryEntryStore(), new Needs(() => store), new Departures(systemClock), silentLogger));

async function cacheOver(store: BlobStore) {
  const cache = completeCache(store);
  await cache.put(key, { result: encodeStepResult(RESULT), writer: { kind: 'executor', name: 'w' }, writtenAt: 1 }, signal);
  return cache;
}

async function storeWith(blobs: readonly Uint8Array[]): Promise<BlobStore> {
  const store = memoryStore();
  for (const bytes of blobs) await store.put(digestOf(bytes), bytes, signal);
  return store;
}

describe('an entry', () => {
  test('is given out where all its blobs are there', async () => {
    const cache = await cacheOver(await storeWith(BLOBS));
    expect((await cache.get(key, signal))?.writer.kind).toBe('executor');
    expect(await cache.get({ ...key, scope: 'other' }, signal)).toBeUndefined();
  });

  test.for(BLOBS.filter((bytes) => bytes.byteLength > 0).map((bytes, index) => [index, bytes] as const))(
    'is a miss where blob %i of it is gone, and a hit once it is back',
    async ([, gone]) => {
      const store = await storeWith(BLOBS.filter((bytes) => bytes !== gone));
      const cache = await cacheOver(store);
      expect(await cache.get(key, signal)).toBeUndefined();
      await store.put(digestOf(gone), gone, signal);
      expect(await cache.get(key, signal)).toBeDefined();
    },
  );

  test('that is given out has all its blobs marked as used', async () => {
    const store = await storeWith(BLOBS);
    const asked = new Set<Digest>();
    const watched: BlobStore = {
      traits: store.traits,
      get: (digest, range, stop) => store.get(digest, range, stop),
      put: (digest, source, stop) => store.put(digest, source, stop),
      findMissing: async (digests, stop) => {
        for (const digest of digests) asked.add(digest);
        return store.findMissing(digests, stop);
      },
    };
    const cache = await cacheOver(watched);
    for (let round = 0; round < 2; round += 1) {
      asked.clear();
      expect(await cache.get(key, signal)).toBeDefined();
      expect(asked).toEqual(new Set(BLOBS.map((bytes) => digestOf(bytes))));
    }
  });

  test('is neither there nor missing while the store is in trouble', async () => {
    const broken: BlobStore = {
      ...memoryStore(),
      findMissing: async () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'down')),
    };
    await expectFault('STORE_UNAVAILABLE', (await cacheOver(broken)).get(key, signal));
  });

  test('that is not complete any more gives its place to any other, a client’s too; a complete one does not', async () => {
    const store = await storeWith(BLOBS.slice(1));
    const cache = await cacheOver(store);
    const mine = {
      result: encodeStepResult({ ...RESULT, outputs: [], log: undefined }),
      writer: { kind: 'client', name: 'me' },
      writtenAt: 2,
    } as const;
    expect((await cache.put(key, mine, signal)).writer.kind).toBe('client');
    expect((await cache.get(key, signal))?.writer.name).toBe('me');
    await cache.put(key, { result: encodeStepResult(RESULT), writer: { kind: 'executor', name: 'w' }, writtenAt: 3 }, signal);
    await store.put(digestOf(bytesOf('file')), bytesOf('file'), signal);
    expect((await cache.put(key, mine, signal)).writer.kind).toBe('executor');
  });

  test('whose tree is no tree is a miss', async () => {
    const store = await storeWith([bytesOf('file'), bytesOf('no tree')]);
    const cache = completeCache(store);
    const result = {
      ...RESULT,
      log: undefined,
      outputs: [{ kind: 'directory', path: 'd', tree: digestOf(bytesOf('no tree')), root: digestOf(bytesOf('file')), bytes: 0 }],
    } as const;
    await cache.put(key, { result: encodeStepResult(result), writer: { kind: 'client', name: 'w' }, writtenAt: 1 }, signal);
    expect(await cache.get(key, signal)).toBeUndefined();
  });
});
