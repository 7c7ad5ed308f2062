import { describe, expect, test } from 'vitest';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { buildTree, type TreeEntry } from '../../cache/tree/build.ts';
import type { ActionParts } from '../rpc/action.ts';
import { actionChanges } from './action-changes.ts';

const { signal } = new AbortController();
const store = memoryStore();

/** The root of a tree of files, given as path and content. */
async function tree(files: Readonly<Record<string, string>>): Promise<Digest> {
  const entries: TreeEntry[] = Object.entries(files).map(([path, content]) => ({
    kind: 'file',
    path,
    digest: digestOf(Buffer.from(content)),
    executable: false,
  }));
  const { encoded, root } = buildTree(entries);
  for (const [digest, bytes] of encoded) await store.put(digest, bytes, signal);
  return root;
}

const SRC = { 'src/a.txt': 'one', 'src/deep/b.txt': 'two', 'lib/c.txt': 'three' };
const BASE: ActionParts = {
  inputRoot: await tree(SRC),
  salt: '',
  command: ['make', 'all'],
  env: new Map([['MODE', 'fast']]),
  workingDirectory: '',
  outputs: ['out'],
  platform: new Map([['selector', 'class=edge']]),
};

const changes = (now: Partial<ActionParts>, before: Partial<ActionParts> = {}) =>
  actionChanges({ ...BASE, ...before }, { ...BASE, ...now }, blobReader(store), signal);

/** The salt of a step with one dependency cache. */
const saltOf = (key: string, own = '', paths = ['mods']) => JSON.stringify([own, { name: 'npm', paths, key }]);

describe('what is other between two actions', () => {
  test('is nothing where they are the same', async () => {
    expect(await changes({})).toEqual([]);
  });

  test('names inputs that have changed, come and gone, at any depth', async () => {
    const inputRoot = await tree({ 'src/a.txt': 'other', 'src/deep/b.txt': 'two', 'src/deep/new.txt': 'x' });
    expect(await changes({ inputRoot })).toEqual([
      'the input lib/ is gone',
      'the input lib/c.txt is gone',
      'the input src/a.txt has changed',
      'the input src/deep/new.txt is new',
    ]);
  });

  test('names twenty of many inputs, and counts the rest', async () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`src/deep/${index}.txt`, 'x']));
    const lines = await changes({ inputRoot: await tree({ ...SRC, ...many }) });
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('… and 10 more of this kind');
  });

  test('names variables without their values, which may be secrets', async () => {
    const env = new Map([
      ['MODE', 'hunter2'],
      ['TOKEN', 'hunter3'],
    ]);
    expect(await changes({ env })).toEqual(['the variable MODE has changed', 'the variable TOKEN is new']);
    expect(await changes({ env: new Map() })).toEqual(['the variable MODE is gone']);
  });

  test('says command, directory, outputs and demands', async () => {
    const now = { command: ['make', 'some'], workingDirectory: 'web', outputs: ['dist'], platform: new Map([['network', 'on']]) };
    expect(await changes(now)).toEqual([
      'the command was make all and is make some',
      'the working directory was not given and is web',
      'the output dist is new',
      'the output out is gone',
      'network was not given and is on',
      'selector was class=edge and is not given',
    ]);
  });

  test('finds keys of dependency caches in the salt, and tells them from a salt of its own', async () => {
    expect(await changes({ salt: saltOf('npm-b') }, { salt: saltOf('npm-a') })).toEqual([
      'the key of the dependency cache npm was npm-a and is npm-b',
    ]);
    expect(await changes({ salt: saltOf('npm-a', 'v2') }, { salt: saltOf('npm-a', 'v1') })).toEqual(['the salt has changed']);
    expect(await changes({ salt: saltOf('npm-a', '', ['a', 'b']) }, { salt: saltOf('npm-a') })).toEqual([
      'paths of its dependency caches have changed',
    ]);
    expect(await changes({ salt: '["x", 3]' }, { salt: '{' })).toEqual(['the salt has changed']);
  });

  test('says that the descriptions have gone rather than guess', async () => {
    const inputRoot = digestOf(Buffer.from('a directory that was evicted'));
    await expect(changes({ inputRoot })).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });
});
