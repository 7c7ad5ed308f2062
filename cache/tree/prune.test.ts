import { describe, expect, test } from 'vitest';
import { planTree } from '../../test/fixtures/trees.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import { buildTree, type TreeEntry } from './build.ts';
import { DirectoryReader } from './directory-reader.ts';
import { pruneTree } from './prune.ts';

const never = new AbortController().signal;
const file = (path: string): TreeEntry => ({ kind: 'file', path, digest: digestOf(Buffer.from(path)), executable: false });
const tree = buildTree([
  ...['bin/cc', 'lib/deep/a.so', 'lib/deep/b.h', 'lib/c.h', 'doc/x.md', '.hidden/y.h'].map(file),
  { kind: 'symlink', path: 'bin/c++', target: 'cc' },
]);
const read = async (digest: Digest) => tree.encoded.get(digest) ?? new Uint8Array(0);

async function chosen(...patterns: string[]) {
  const { root, made } = await pruneTree(tree.root, patterns, new DirectoryReader(read), never);
  const plan = await planTree(root, async (digest) => made.get(digest) ?? (await read(digest)), never);
  return { root, made, paths: [...plan.files, ...plan.links].map((one) => one.path).toSorted((a, b) => (a < b ? -1 : 1)) };
}

describe('the part of a tree that patterns choose', () => {
  test('has what they match, and no directory in which there is nothing', async () => {
    expect((await chosen('bin')).paths).toEqual(['bin/c++', 'bin/cc']);
    expect((await chosen('**/*.h', './doc/')).paths).toEqual(['.hidden/y.h', 'doc/x.md', 'lib/c.h', 'lib/deep/b.h']);
    expect((await chosen('lib/*')).paths).toEqual(['lib/c.h', 'lib/deep/a.so', 'lib/deep/b.h']);
    expect(await chosen('nothing/*')).toMatchObject({ root: EMPTY_DIGEST, paths: [] });
  });

  test('shares with the whole tree what is chosen whole', async () => {
    expect(await chosen('**')).toMatchObject({ root: tree.root, made: new Map() });
    expect((await chosen('lib', 'bin/cc')).made.size).toBe(2);
  });
});
