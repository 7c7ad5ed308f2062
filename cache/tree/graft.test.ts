import { describe, expect, test } from 'vitest';
import type { OutputEntry } from '../action/result.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { blobReader } from '../read-blob.ts';
import { buildTree, type TreeEntry } from './build.ts';
import { graftOutputs } from './graft.ts';
import { planTree } from '../../test/fixtures/trees.ts';

const { signal } = new AbortController();

/** Entries of a tree from lines: `path=content`, `path*=content` (executable), `path->target`, `path/`. */
function entriesOf(lines: readonly string[]): TreeEntry[] {
  return lines.map((line) => {
    if (line.includes('->')) return { kind: 'symlink', path: line.split('->')[0] ?? '', target: line.split('->')[1] ?? '' };
    if (line.endsWith('/')) return { kind: 'directory', path: line.slice(0, -1) };
    const [at = '', content = ''] = line.split('=');
    return { kind: 'file', path: at.replace('*', ''), digest: digestOf(Buffer.from(content)), executable: at.includes('*') };
  });
}

/** Grafts outputs into a tree, both as lines (a directory output as `path: lines...`), and gives the tree that comes out. */
async function graft(
  base: readonly string[],
  at: string,
  outputs: readonly (string | { at: string; lines: readonly string[] })[],
): Promise<string[]> {
  const store = memoryStore();
  const put = async (lines: readonly string[]): Promise<Digest> => {
    const tree = buildTree(entriesOf(lines));
    for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, signal);
    return tree.root;
  };
  const entries: OutputEntry[] = [];
  for (const output of outputs) {
    if (typeof output !== 'string')
      entries.push({ kind: 'directory', path: output.at, tree: EMPTY_DIGEST, root: await put(output.lines), bytes: 0 });
    else for (const entry of entriesOf([output])) if (entry.kind !== 'directory') entries.push(entry);
  }
  const { root, added } = await graftOutputs(await put(base), at, entries, blobReader(store), signal);
  for (const [digest, bytes] of added) await store.put(digest, bytes, signal);
  const plan = await planTree(root, blobReader(store), signal);
  return [
    ...plan.files.map((file) => `${file.path}${file.executable ? '*' : ''}`),
    ...plan.links.map((link) => `${link.path}->${link.target}`),
    ...plan.directories.filter((directory) => directory !== '').map((directory) => `${directory}/`),
  ].toSorted();
}

describe('grafting', () => {
  test('puts files, directories and links at their places, below the working directory', async () => {
    const outputs = ['out/a=1', 'b*=2', 'l->out/a', { at: 'dist', lines: ['index.js=3', 'lib/x=4'] }];
    expect(await graft(['src/main=0'], 'pkg', outputs)).toEqual([
      'pkg/',
      'pkg/b*',
      'pkg/dist/',
      'pkg/dist/index.js',
      'pkg/dist/lib/',
      'pkg/dist/lib/x',
      'pkg/l->out/a',
      'pkg/out/',
      'pkg/out/a',
      'src/',
      'src/main',
    ]);
  });

  test('gives the tree that would have been scanned', async () => {
    const whole = buildTree(entriesOf(['a/b=1', 'a/c/d=2', 'e=3']));
    const store = memoryStore();
    const base = buildTree(entriesOf(['a/b=1']));
    for (const [digest, bytes] of base.encoded) await store.put(digest, bytes, signal);
    const outputs = entriesOf(['a/c/d=2', 'e=3']).filter((entry) => entry.kind !== 'directory');
    expect((await graftOutputs(base.root, '', outputs, blobReader(store), signal)).root).toBe(whole.root);
  });

  test('merges directories, and takes what is the same twice', async () => {
    const outputs = [{ at: 'd', lines: ['x=1', 'sub/y=2', 'empty/'] }, { at: 'd/sub', lines: ['z=3'] }, 'd/x=1'];
    expect(await graft(['d/x=1', 'd/sub/w=0'], '.', outputs)).toEqual(['d/', 'd/empty/', 'd/sub/', 'd/sub/w', 'd/sub/y', 'd/sub/z', 'd/x']);
  });

  test('adds nothing where nothing changes', async () => {
    const base = buildTree(entriesOf(['a/b=1']));
    const { root, added } = await graftOutputs(base.root, '', [], async () => Promise.reject(new Error('nothing to read')), signal);
    expect([root, added.size]).toEqual([base.root, 0]);
  });

  test('takes the working directory itself as an output', async () => {
    expect(await graft(['a=1'], 'w', [{ at: '.', lines: ['b=2'] }])).toEqual(['a', 'w/', 'w/b']);
    expect(await graft(['a=1'], '', [{ at: '', lines: ['b=2'] }])).toEqual(['a', 'b']);
  });

  test.for([
    [['a=1'], ['a=2'], '"a": two different files'],
    [['a=1'], ['a*=1'], '"a": two different files'],
    [['a/b=1'], ['a=1'], '"a": a file and a directory'],
    [['a=1'], ['a/b=1'], '"a": a directory and a file'],
    [['a->b'], ['a->c'], '"a": two different symlinks'],
    [['a->b'], ['a/b=1'], '"a": a directory and a symlink'],
    [[], ['a=1', 'a=2'], '"a": two different files'],
  ] as const)('of %j and %j fails at the path', async ([base, outputs, message]) => {
    await expect(graft(base, '', outputs)).rejects.toThrow(message);
  });

  test('names the path inside of merged directories, and refuses to leave the tree', async () => {
    await expect(graft(['d/e/f=1'], '', [{ at: 'd', lines: ['e/f=2'] }])).rejects.toThrow('"d/e/f": two different files');
    await expect(graft([], 'w', ['../../x=1'])).rejects.toMatchObject({ code: 'PATH_ESCAPES' });
    await expect(graft([], 'w', ['/x=1'])).rejects.toMatchObject({ code: 'PATH_ESCAPES' });
    expect(await graft([], 'w', ['../x=1'])).toEqual(['x']);
  });
});
