import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { draw, listTree, sketches } from '../../test/fixtures/trees.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf, type Digest } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { encodeDirectory, type Directory } from './directory.ts';
import { materialise, removeTree, storeFileSource } from './materialise.ts';
import { FIXED_MTIME_S, READ_ONLY_MODES } from './place.ts';
import { scanTree } from './scan.ts';
import { uploadTree } from './upload.ts';

const { signal } = new AbortController();

async function putDirectory(store: BlobStore, directory: Partial<Directory>): Promise<Digest> {
  const bytes = encodeDirectory({ files: [], directories: [], symlinks: [], ...directory });
  await store.put(digestOf(bytes), bytes, signal);
  return digestOf(bytes);
}

describe('a tree that is scanned, uploaded and materialised', () => {
  test('is the same tree again, whatever is in it', async () => {
    await using dir = await tempDir();
    let round = 0;
    await fc.assert(
      fc.asyncProperty(sketches, async (sketch) => {
        round += 1;
        const [from, to] = [path.join(dir.path, `from-${round}`), path.join(dir.path, `to-${round}`)];
        draw(sketch, from);
        const store = memoryStore();
        const tree = await scanTree(from, {}, signal);
        await uploadTree(tree, store, signal);
        await materialise(tree.root, to, storeFileSource(store), signal);
        expect(listTree(to)).toEqual(listTree(from));
        expect((await scanTree(to, {}, signal)).root).toBe(tree.root);
        expect(await uploadTree(tree, store, signal)).toMatchObject({ sentBytes: 0, sentCount: 0 });
      }),
      { numRuns: 40 },
    );
    expect(fs.readdirSync(dir.path).filter((name) => name.includes('partial'))).toEqual([]);
  });

  test('has fixed times and the modes that were asked for', async () => {
    await using dir = await tempDir();
    const from = path.join(dir.path, 'from');
    const to = path.join(dir.path, 'to');
    draw(
      new Map<string, Uint8Array | { x: Uint8Array } | Map<string, Uint8Array>>([
        ['f', Buffer.from('f')],
        ['x', { x: Buffer.from('x') }],
        ['d', new Map([['g', Buffer.from('g')]])],
      ]),
      from,
    );
    const store = memoryStore();
    const tree = await scanTree(from, {}, signal);
    await uploadTree(tree, store, signal);
    await materialise(tree.root, to, storeFileSource(store), signal, { modes: READ_ONLY_MODES });
    const facts = ['', 'f', 'x', 'd', 'd/g'].map((name) => fs.statSync(path.join(to, name)));
    expect(facts.map((stat) => stat.mtimeMs)).toEqual(facts.map(() => FIXED_MTIME_S * 1_000));
    expect(facts.map((stat) => stat.mode & 0o7777)).toEqual([0o555, 0o444, 0o555, 0o555, 0o444]);
    removeTree(to);
    expect(fs.existsSync(to)).toBe(false);
  });
});

describe('materialising', () => {
  test('refuses names that lead out, and leaves nothing behind', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    const file = Buffer.from('x');
    await store.put(digestOf(file), file, signal);
    // Written by hand: the encoder refuses such names.
    const name = '../escaped';
    const digest = Buffer.concat([Buffer.from([0x0a, 64]), Buffer.from(digestOf(file).slice(0, 64)), Buffer.from([0x10, 1])]);
    const node = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name), Buffer.from([0x12, digest.byteLength]), digest]);
    const evil = Buffer.concat([Buffer.from([0x0a, node.byteLength]), node]);
    await store.put(digestOf(evil), evil, signal);
    await expectFault('BAD_REQUEST', materialise(digestOf(evil), path.join(dir.path, 'a', 'b'), storeFileSource(store), signal));
    expect(listTree(dir.path)).toEqual([]);
  });

  test('writes nothing through a link, as none exists while files are written', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    const link = await putDirectory(store, { symlinks: [{ name: 'out', target: '../outside' }] });
    const root = await putDirectory(store, { directories: [{ name: 'd', digest: link }], symlinks: [{ name: 'e', target: '/etc' }] });
    fs.mkdirSync(path.join(dir.path, 'outside'));
    await materialise(root, path.join(dir.path, 'into'), storeFileSource(store), signal);
    expect(listTree(path.join(dir.path, 'into'))).toEqual(['directory "d"', 'link "d/out" -> "../outside"', 'link "e" -> "/etc"']);
    const refusing = materialise(root, path.join(dir.path, 'no'), storeFileSource(store), signal, { escapingLinks: 'refuse' });
    await expectFault('PATH_ESCAPES', refusing);
    expect(listTree(path.join(dir.path, 'outside'))).toEqual([]);
  });

  test('does not take the place of what is there', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    const root = await putDirectory(store, {});
    for (const make of [() => fs.mkdirSync(path.join(dir.path, 'x')), () => fs.symlinkSync('/etc', path.join(dir.path, 'x'))]) {
      make();
      await expectFault('WRONG_STATE', materialise(root, path.join(dir.path, 'x'), storeFileSource(store), signal));
      expect(fs.readdirSync(dir.path)).toEqual(['x']);
      fs.rmSync(path.join(dir.path, 'x'), { recursive: true });
    }
  });

  test('names the file whose blob is missing or wrong, and leaves nothing', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    const digest = digestOf(Buffer.from('right'));
    const child = await putDirectory(store, { files: [{ name: 'f', digest, executable: false }] });
    const root = await putDirectory(store, { directories: [{ name: 'd', digest: child }] });
    const into = path.join(dir.path, 'into');
    await expect(materialise(root, into, storeFileSource(store), signal)).rejects.toThrow('Making "d/f": Blob');
    const lying: BlobStore = {
      ...store,
      async *get(wanted, range, stop) {
        if (wanted === digest) yield Buffer.from('wrong');
        else yield* store.get(wanted, range, stop);
      },
    };
    await expectFault('BLOB_CORRUPT', materialise(root, into, storeFileSource(lying), signal));
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });

  test('bounds trees that are small in bytes and immense in entries', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    let digest = await putDirectory(store, {});
    for (let level = 0; level < 40; level += 1) {
      digest = await putDirectory(store, { directories: ['a', 'b'].map((name) => ({ name, digest })) });
    }
    await expectFault(
      'TOO_LARGE',
      materialise(digest, path.join(dir.path, 'bomb'), storeFileSource(store), signal, { entriesMax: 10_000 }),
    );
    for (let level = 0; level < 600; level += 1) digest = await putDirectory(store, { directories: [{ name: 'd', digest }] });
    await expectFault('TOO_LARGE', materialise(digest, path.join(dir.path, 'deep'), storeFileSource(store), signal));
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });
});
