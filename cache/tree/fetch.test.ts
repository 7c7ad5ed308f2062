import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { listTree } from '../../test/fixtures/trees.ts';
import type { OutputEntry } from '../action/result.ts';
import { EMPTY_DIGEST, digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { buildTree } from './build.ts';
import { fetchOutputs } from './fetch.ts';

const { signal } = new AbortController();
const store = memoryStore();
const [one, two] = [Buffer.from('one'), Buffer.from('two')];

async function file(at: string, bytes = one): Promise<OutputEntry> {
  await store.put(digestOf(bytes), bytes, signal);
  return { kind: 'file', path: at, digest: digestOf(bytes), executable: false };
}

async function directory(at: string, ...names: string[]): Promise<OutputEntry> {
  await store.put(digestOf(two), two, signal);
  const tree = buildTree(names.map((name) => ({ kind: 'file', path: name, digest: digestOf(two), executable: true })));
  for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, signal);
  return { kind: 'directory', path: at, tree: EMPTY_DIGEST, root: tree.root, bytes: 0 };
}

const ONE = `${one.toString('base64')} 3`;
const TWO = `${two.toString('base64')} 3`;

describe('bringing outputs back', () => {
  test('takes the place of earlier outputs, and leaves the rest alone', async () => {
    await using dir = await tempDir();
    fs.mkdirSync(path.join(dir.path, 'dist'));
    for (const name of ['dist/stale', 'kept', 'report']) fs.writeFileSync(path.join(dir.path, name), 'one');
    fs.symlinkSync('kept', path.join(dir.path, 'current'));
    const outputs = [
      await directory('dist', 'a', 'b/c'),
      await file('report', two),
      await file('deep/er/x'),
      { kind: 'symlink', path: 'current', target: 'report' } as const,
    ];
    await fetchOutputs(outputs, dir.path, store, signal);
    expect(listTree(dir.path)).toEqual(
      [
        'directory "deep"',
        'directory "deep/er"',
        'directory "dist"',
        'directory "dist/b"',
        `file "deep/er/x" ${ONE}`,
        `file "kept" ${ONE}`,
        `file "report" ${TWO}`,
        'link "current" -> "report"',
        `program "dist/a" ${TWO}`,
        `program "dist/b/c" ${TWO}`,
      ].toSorted(),
    );
  });

  test('puts the entries of a whole working directory in their places', async () => {
    await using dir = await tempDir();
    fs.writeFileSync(path.join(dir.path, 'kept'), 'one');
    await fetchOutputs([await directory('', 'a')], dir.path, store, signal);
    expect(listTree(dir.path)).toEqual([`file "kept" ${ONE}`, `program "a" ${TWO}`]);
  });

  test('writes neither through links nor outside', async () => {
    await using dir = await tempDir();
    const into = path.join(dir.path, 'into');
    const outside = path.join(dir.path, 'outside');
    fs.mkdirSync(into);
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, 'precious'), 'one');
    fs.symlinkSync(outside, path.join(into, 'link'));
    fs.symlinkSync(path.join(outside, 'precious'), path.join(into, 'file'));
    await expectFault('PATH_ESCAPES', fetchOutputs([await file('link/x')], into, store, signal));
    await expectFault('PATH_ESCAPES', fetchOutputs([await directory('link/x', 'a')], into, store, signal));
    await expectFault('PATH_ESCAPES', fetchOutputs([await file('../x')], into, store, signal));
    await expectFault('PATH_ESCAPES', fetchOutputs([await file('/tmp/x')], into, store, signal));
    await expectFault('PATH_ESCAPES', fetchOutputs([{ kind: 'symlink', path: 'a', target: '../../etc' }], into, store, signal));
    await fetchOutputs([await file('file', two)], into, store, signal);
    expect(listTree(outside)).toEqual([`file "precious" ${ONE}`]);
    expect(listTree(into)).toEqual([`file "file" ${TWO}`, `link "link" -> ${JSON.stringify(outside)}`]);
  });

  test('leaves a directory that is in a file’s place, a file that is in a directory’s, and no partial files', async () => {
    await using dir = await tempDir();
    fs.mkdirSync(path.join(dir.path, 'd'));
    fs.writeFileSync(path.join(dir.path, 'f'), 'one');
    await expectFault('BAD_REQUEST', fetchOutputs([await file('d')], dir.path, store, signal));
    await expectFault('BAD_REQUEST', fetchOutputs([await directory('f', 'x')], dir.path, store, signal));
    await expectFault('BAD_REQUEST', fetchOutputs([await file('f/x')], dir.path, store, signal));
    const gone: OutputEntry = { kind: 'file', path: 'g', digest: digestOf(Buffer.from('nowhere')), executable: false };
    await expectFault('BLOB_UNKNOWN', fetchOutputs([gone], dir.path, store, signal));
    expect(listTree(dir.path)).toEqual(['directory "d"', `file "f" ${ONE}`]);
  });
});
