import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf, type Digest } from '../digest.ts';
import { saveTree, type SaveOptions } from '../layer/save.ts';
import { UploadSink } from '../layer/upload-sink.ts';
import { memoryStore } from '../memory.ts';
import { blobReader } from '../read-blob.ts';
import { DirectoryReader } from './directory-reader.ts';
import { encodeDirectory, type Directory } from './directory.ts';
import { materialise, nameFolding, storeFileSource } from './materialise.ts';
import { scanTree } from './scan.ts';

const never = new AbortController().signal;
const store = memoryStore();

async function save(top: string, options: SaveOptions): Promise<Digest> {
  const sink = new UploadSink(store, never);
  const source = { top, bases: new Map(), reader: new DirectoryReader(blobReader(store)), opaque: new Set<string>() };
  const { root } = await saveTree(source, '', sink, options, never);
  await sink.finish();
  return root;
}

async function putDirectory(directory: Partial<Directory>): Promise<Digest> {
  const bytes = encodeDirectory({ files: [], directories: [], symlinks: [], ...directory });
  await store.put(digestOf(bytes), bytes, never);
  return digestOf(bytes);
}

const make = (root: Digest, into: string, options = {}) => materialise(root, into, storeFileSource(store), never, options);

describe('a saved tree', () => {
  test('says nothing of modes and times unless asked, and is then the tree that it always was', async () => {
    await using dir = await tempDir();
    const from = path.join(dir.path, 'from');
    fs.mkdirSync(path.join(from, 'd'), { recursive: true });
    for (const [name, mode] of [
      ['d/f', 0o640],
      ['x', 0o700],
    ] as const)
      fs.writeFileSync(path.join(from, name), name, { mode });
    expect(await save(from, {})).toBe((await scanTree(from, {}, never)).root);
    for (const [name, mode] of [
      ['d/f', 0o644],
      ['x', 0o755],
      ['d', 0o755],
      ['', 0o755],
    ] as const)
      fs.chmodSync(path.join(from, name), mode);
    expect(await save(from, { modes: 'full' })).toBe((await scanTree(from, {}, never)).root);
  });

  test('keeps modes, times and hard links where asked, but no bits that lend rights', async () => {
    await using dir = await tempDir();
    const [from, to] = ['from', 'to'].map((name) => path.join(dir.path, name)) as [string, string];
    fs.mkdirSync(path.join(from, 'd/e'), { recursive: true });
    for (const [name, mode] of [
      ['d/f', 0o640],
      ['x', 0o4711],
      ['d/e/w', 0o777],
    ] as const) {
      fs.writeFileSync(path.join(from, name), name);
      fs.chmodSync(path.join(from, name), mode);
    }
    fs.linkSync(path.join(from, 'd/f'), path.join(from, 'another'));
    fs.linkSync(path.join(from, 'x'), path.join(dir.path, 'outside'));
    fs.symlinkSync('d/f', path.join(from, 'link'));
    fs.chmodSync(path.join(from, 'd'), 0o1770);
    for (const [index, name] of ['d/f', 'x', 'd/e/w', 'd/e', 'd', ''].entries())
      fs.utimesSync(path.join(from, name), 0, 1_700_000_000.123_457 + index);
    const options = { modes: 'full', mtimes: 'preserve', hardLinks: true } as const;
    const root = await save(from, options);
    await make(root, to);
    const facts = (top: string) =>
      ['d/f', 'another', 'x', 'd/e/w', 'd/e', 'd', ''].map((name) => {
        const stat = fs.lstatSync(path.join(top, name), { bigint: true });
        return [name, (Number(stat.mode) & 0o777).toString(8), stat.mtimeNs / 1_000n];
      });
    expect(facts(to)).toEqual(facts(from));
    expect(fs.statSync(path.join(to, 'x')).mode & 0o7000).toBe(0);
    expect(fs.statSync(path.join(to, 'another')).ino).toBe(fs.statSync(path.join(to, 'd/f')).ino);
    expect(fs.statSync(path.join(to, 'x')).nlink).toBe(1);
    expect(await save(to, options)).toBe(root);
  });

  test('takes no room for long runs of zeros, wherever they are', async () => {
    await using dir = await tempDir();
    const from = path.join(dir.path, 'from');
    fs.mkdirSync(from);
    const mb = 1024 * 1024;
    const parts = { begin: [3 * mb, 0], middle: [100, 5 * mb, 200], end: [mb / 2, 4 * mb], all: [0, 2 * mb], odd: [1, 65_536 * 3 - 2, 1] };
    for (const [name, sizes] of Object.entries(parts)) {
      const chunks = sizes.map((size, index) => (index % 2 === (name === 'begin' ? 1 : 0) ? randomBytes(size) : Buffer.alloc(size)));
      fs.writeFileSync(path.join(from, name), Buffer.concat(chunks));
    }
    const root = await save(from, {});
    const to = path.join(dir.path, 'to');
    await make(root, to);
    expect((await scanTree(to, {}, never)).root).toBe(root);
    for (const [name, sizes] of Object.entries(parts)) {
      const { size, blocks } = fs.statSync(path.join(to, name));
      expect(size).toBe(sizes.reduce((sum, one) => sum + one, 0));
      if (name !== 'odd') expect([name, blocks * 512 < size / 2]).toEqual([name, true]);
    }
  });
});

describe('a tree from somebody else (failure mode 7)', () => {
  test('may not have names or paths that no file system takes', async () => {
    await using dir = await tempDir();
    const into = path.join(dir.path, 'into');
    const digest = digestOf(new Uint8Array(0));
    const long = await putDirectory({ files: [{ name: 'ü'.repeat(2_048), digest, executable: false }] });
    await expect(make(long, into)).rejects.toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining('255 bytes') }),
    );
    let root = digest;
    for (let level = 0; level < 20; level += 1) root = await putDirectory({ directories: [{ name: 'n'.repeat(250), digest: root }] });
    await expectFault('TOO_LARGE', make(root, into));
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });

  test('may not have more entries in a directory than can be handled, and is refused before anything is made', async () => {
    await using dir = await tempDir();
    const symlinks = Array.from({ length: 1_000_001 }, (_, index) => ({ name: String(index).padStart(7, '0'), target: '.' }));
    await expectFault('TOO_LARGE', make(await putDirectory({ symlinks }), path.join(dir.path, 'into')));
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });

  test('may not have names that are one where the file system folds case or accents', async () => {
    await using dir = await tempDir();
    const digest = digestOf(new Uint8Array(0));
    for (const names of [
      ['README', 'readme'],
      ['\u00fc', 'u\u0308'],
    ]) {
      const [first = '', second = ''] = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      // A link, and a directory that would be written through it.
      const inner = await putDirectory({ files: [{ name: 'passwd', digest, executable: false }] });
      const root = await putDirectory({ directories: [{ name: first, digest: inner }], symlinks: [{ name: second, target: '/etc' }] });
      await expectFault('BAD_REQUEST', make(root, path.join(dir.path, 'into'), { folding: 'folded' }));
      expect(fs.readdirSync(dir.path)).toEqual([]);
      if (nameFolding(dir.path) === 'bytes') await make(root, path.join(dir.path, `kept-${names.length}-${Buffer.byteLength(first)}`));
      fs.rmSync(path.join(dir.path, `kept-${names.length}-${Buffer.byteLength(first)}`), { recursive: true, force: true });
    }
  });

  test('may not have an entry twice, so that nothing is written through a link of that name', async () => {
    const digest = digestOf(new Uint8Array(0));
    expect(() => encodeDirectory({ files: [], directories: [{ name: 'a', digest }], symlinks: [{ name: 'a', target: '/etc' }] })).toThrow(
      'two of that name',
    );
  });
});

describe('a host that runs short while a tree is made (failure mode 8)', () => {
  test('of open files: the error says so, and the target is as it was', async () => {
    await using dir = await tempDir();
    const script = fileURLToPath(new URL('../../test/fixtures/short-of-files.ts', import.meta.url));
    const said = execFileSync(process.execPath, [script, dir.path], { encoding: 'utf8' });
    expect(said).toContain('EMFILE');
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });
});
