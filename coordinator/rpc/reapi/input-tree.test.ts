import { describe, expect, test } from 'vitest';
import { Fault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { digestOf, EMPTY_DIGEST, type Digest } from '../../../cache/digest.ts';
import { memoryStore } from '../../../cache/memory.ts';
import { buildTree } from '../../../cache/tree/build.ts';
import { EMPTY_DIRECTORY } from '../../../cache/tree/directory.ts';
import { lookForTree, openDirectoryCache, type DirectoryCache } from './input-tree.ts';

const { signal } = new AbortController();
const bytesOf = (text: string) => Buffer.from(text);
const file = (path: string, text: string) => ({ kind: 'file', path, digest: digestOf(bytesOf(text)), executable: false }) as const;
const TEXTS = ['one', 'two', 'three'];
const tree = buildTree([file('a/1', 'one'), file('a/copy', 'one'), file('b/c/2', 'two'), file('b/3', 'three')]);

async function filled(without: readonly Digest[] = []): Promise<{ readonly store: BlobStore; readonly reads: Digest[] }> {
  const inner = memoryStore();
  const blobs = [...tree.encoded.values(), ...TEXTS.map(bytesOf)];
  for (const bytes of blobs) if (!without.includes(digestOf(bytes))) await inner.put(digestOf(bytes), bytes, signal);
  const reads: Digest[] = [];
  const get: BlobStore['get'] = (digest, range, stop) => {
    reads.push(digest);
    return inner.get(digest, range, stop);
  };
  return { store: { traits: inner.traits, get, put: inner.put, findMissing: inner.findMissing }, reads };
}

const look = (store: BlobStore, directories: DirectoryCache = openDirectoryCache(), others: readonly Digest[] = []) =>
  lookForTree({ store, instanceName: 'shop/main', directories }, tree.root, others, signal);

const directoryAt = (name: string) => {
  const found = tree.directories.get(tree.root)?.directories.find((node) => node.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found.digest;
};

describe('an input tree', () => {
  test('that is all there has nothing missing, and its size is that of its files', async () => {
    expect(await look((await filled()).store)).toEqual({ bytes: 3 + 3 + 3 + 5, missing: [] });
  });

  test('of which files and others are missing names each of them once', async () => {
    const lost = [digestOf(bytesOf('one')), digestOf(bytesOf('three'))];
    const command = digestOf(bytesOf('a command'));
    const { missing } = await look((await filled(lost)).store, openDirectoryCache(), [command]);
    expect(missing.toSorted()).toEqual([...lost, command].toSorted());
  });

  test('of which a directory is missing names that, and what else is missing beside it', async () => {
    const lost = [directoryAt('b'), digestOf(bytesOf('one'))];
    const { missing } = await look((await filled(lost)).store);
    expect(missing.toSorted()).toEqual(lost.toSorted());
  });

  test('that is empty needs no blob', async () => {
    const store = memoryStore();
    const place = { store, instanceName: 'i', directories: openDirectoryCache() };
    expect(await lookForTree(place, EMPTY_DIGEST, [], signal)).toEqual({ bytes: 0, missing: [] });
  });

  test('with a directory that is none is refused', async () => {
    const store = memoryStore();
    const bytes = Buffer.from([0x0a, 0x02, 0x0a, 0x00]);
    await store.put(digestOf(bytes), bytes, signal);
    const place = { store, instanceName: 'i', directories: openDirectoryCache() };
    await expect(lookForTree(place, digestOf(bytes), [], signal)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('in a store that is in trouble is neither there nor missing', async () => {
    const { store } = await filled();
    const broken = { ...store, findMissing: async () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'down')) };
    await expect(look(broken)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

describe('directories that were seen before', () => {
  test('are not read again, but looked for: what has gone since is told', async () => {
    const directories = openDirectoryCache();
    const { store, reads } = await filled();
    await look(store, directories);
    const before = reads.length;
    expect(await look(store, directories)).toEqual({ bytes: 14, missing: [] });
    expect(reads).toHaveLength(before);
    const lost = [directoryAt('a')];
    expect((await look((await filled(lost)).store, directories)).missing).toEqual(lost);
  });

  test('are known under the instance name only under which they were seen', () => {
    const directories = openDirectoryCache();
    directories.put('shop/main', tree.root, EMPTY_DIRECTORY);
    expect(directories.get('shop/main', tree.root)).toBe(EMPTY_DIRECTORY);
    expect(directories.get('shop/other', tree.root)).toBeUndefined();
  });

  test('go once there is more than there is room for, those first that were not used', () => {
    const digest = (index: number) => digestOf(Buffer.alloc(100, index));
    const directories = openDirectoryCache(250);
    directories.put('i', digest(1), EMPTY_DIRECTORY);
    directories.put('i', digest(2), EMPTY_DIRECTORY);
    directories.get('i', digest(1));
    directories.put('i', digest(3), EMPTY_DIRECTORY);
    expect([1, 2, 3].map((index) => directories.get('i', digest(index)) !== undefined)).toEqual([true, false, true]);
  });
});
