import { describe, expect, test } from 'vitest';
import { Fault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { digestOf, EMPTY_DIGEST, sizeOf, type Digest } from '../../../cache/digest.ts';
import { memoryStore } from '../../../cache/memory.ts';
import { buildTree } from '../../../cache/tree/build.ts';
import { EMPTY_DIRECTORY, encodeDirectory } from '../../../cache/tree/directory.ts';
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

  test('is read a few megabytes at a time, however many look at however large directories', async () => {
    const blobs = new Map<Digest, Uint8Array>();
    const roots = [1, 2, 3].map((root) => {
      const large = Array.from({ length: 8 }, (_, index) => {
        const name = `${root}-${index}-`.padEnd(2_000, 'x');
        const files = Array.from({ length: 600 }, (__, file) => ({
          name: `${name}${file + 10_000}`,
          digest: EMPTY_DIGEST,
          executable: false,
        }));
        return { name: `${index + 10}`, bytes: encodeDirectory({ ...EMPTY_DIRECTORY, files }) };
      });
      const directories = large.map(({ name, bytes }) => ({ name, digest: digestOf(bytes) }));
      const top = encodeDirectory({ ...EMPTY_DIRECTORY, directories });
      for (const bytes of [top, ...large.map((one) => one.bytes)]) blobs.set(digestOf(bytes), bytes);
      return digestOf(top);
    });
    let [now, most] = [0, 0];
    const store: BlobStore = {
      ...memoryStore(),
      async *get(digest) {
        now += sizeOf(digest);
        most = Math.max(most, now);
        await new Promise((resolve) => void setImmediate(resolve));
        yield blobs.get(digest) ?? new Uint8Array(0);
        now -= sizeOf(digest);
      },
      findMissing: async () => [],
    };
    const directories = openDirectoryCache();
    await Promise.all(roots.map((root) => lookForTree({ store, instanceName: 'i', directories }, root, [], signal)));
    expect([...blobs.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeGreaterThan(24 * 1024 * 1024);
    expect(most).toBeLessThanOrEqual(16 * 1024 * 1024);
  });

  test('with a directory of more than 4 MiB, or more than a million entries, is refused', async () => {
    const store = memoryStore();
    const huge = Buffer.alloc(4 * 1024 * 1024 + 1);
    await store.put(digestOf(huge), huge, signal);
    const directories = openDirectoryCache();
    const place = { store, instanceName: 'i', directories };
    await expect(lookForTree(place, digestOf(huge), [], signal)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    const files = Array.from({ length: 260_000 }, () => ({ name: 'f', digest: EMPTY_DIGEST, executable: false }));
    const [root, ...below] = ['root', 'a', 'b', 'c'].map((name) => digestOf(bytesOf(name)));
    if (root === undefined) throw new Error('no root');
    for (const digest of below) directories.put('i', digest, { ...EMPTY_DIRECTORY, files });
    directories.put('i', root, { ...EMPTY_DIRECTORY, files, directories: below.map((digest) => ({ name: digest, digest })) });
    await expect(lookForTree(place, root, [], signal)).rejects.toMatchObject({ code: 'TOO_LARGE' });
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
