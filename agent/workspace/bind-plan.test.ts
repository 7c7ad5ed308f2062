import { describe, expect, test } from 'vitest';
import { EMPTY_DIGEST, digestOf } from '../../cache/digest.ts';
import { buildTree, type TreeEntry } from '../../cache/tree/build.ts';
import { planBinds } from './bind-plan.ts';
import { Shapes } from './shape.ts';
import { planTree } from '../../test/fixtures/trees.ts';

const never = new AbortController().signal;

/** A tree with so many small files at each path. */
function treeOf(counts: Readonly<Record<string, number>>, extra: readonly TreeEntry[] = []) {
  const entries: TreeEntry[] = [...extra];
  for (const [at, count] of Object.entries(counts)) {
    for (let index = 0; index < count; index += 1) {
      entries.push({
        kind: 'file',
        path: `${at}/d${index % 7}/f${index}`,
        digest: digestOf(Buffer.from(`${at} ${index}`)),
        executable: false,
      });
    }
  }
  const tree = buildTree(entries);
  const read = async (digest: typeof tree.root) => tree.encoded.get(digest) ?? new Uint8Array(0);
  return { ...tree, read };
}

async function plan(
  tree: ReturnType<typeof treeOf>,
  written: readonly string[] = [],
  workingDirectory = '',
  replaced: readonly string[] = [],
  canBind = true,
) {
  const shapeOf = await new Shapes().below(tree.root, tree.read, never);
  return planBinds(tree.root, shapeOf, { written, workingDirectory, replaced, canBind });
}

async function bound(...args: Parameters<typeof plan>) {
  return (await plan(...args)).bound.map((one) => one.path);
}

describe('which input directories are bound', () => {
  test('large ones below the root; small ones and the root itself are copied', async () => {
    expect(await bound(treeOf({ node_modules: 1000, src: 100 }))).toEqual(['node_modules']);
    expect(await bound(treeOf({ src: 100 }))).toEqual([]);
  });

  test('few large files count as much as many small ones', async () => {
    const digest = digestOf(Buffer.alloc(17 * 1024 * 1024));
    expect(await bound(treeOf({ src: 10 }, [{ kind: 'file', path: 'tools/bin/cc', digest, executable: true }]))).toEqual(['tools/bin']);
  });

  test('the parts of a directory rather than the whole, where they make it up', async () => {
    expect(await bound(treeOf({ 'packages/a/node_modules': 1000, 'packages/b/node_modules': 900, 'packages/a/src': 50 }))).toEqual([
      'packages/a/node_modules',
      'packages/b/node_modules',
    ]);
  });

  test('never one in which an output is made, or which the step runs in, but one that is an output', async () => {
    const tree = treeOf({ node_modules: 1000, vendor: 1000 });
    expect(await bound(tree, ['node_modules/.cache/result'])).toEqual(['vendor']);
    expect(await bound(tree, ['node_modules'])).toEqual(['node_modules', 'vendor']);
    expect(await bound(tree, [''])).toEqual(['node_modules', 'vendor']);
    expect(await bound(tree, [], 'vendor/deep')).toEqual(['node_modules']);
    expect(await bound(tree, [], 'vendor')).toEqual(['node_modules']);
  });

  test('where other trees go, nothing of the inputs is left, whether anything is bound or not', async () => {
    const tree = treeOf({ node_modules: 1000, 'web/node_modules': 500, 'web/src': 20 });
    for (const canBind of [true, false]) {
      const { bound, root, made } = await plan(tree, [], '', ['web/node_modules', 'not/there'], canBind);
      expect(bound.map((one) => one.path)).toEqual(canBind ? ['node_modules'] : []);
      const rest = await planTree(root, async (digest) => made.get(digest) ?? (await tree.read(digest)), never);
      expect(rest.files.some((file) => file.path.startsWith('web/node_modules'))).toBe(false);
      expect(rest.directories).toContain('web/node_modules');
    }
  });

  test('the rest is the input tree with an empty directory in each place', async () => {
    const tree = treeOf({ node_modules: 1000, 'web/node_modules': 500, 'web/src': 20, src: 10 });
    const { bound, root, made } = await plan(tree);
    const read = async (digest: typeof root) => made.get(digest) ?? (await tree.read(digest));
    const rest = await planTree(root, read, never);
    expect(bound.map((one) => one.path)).toEqual(['node_modules', 'web/node_modules']);
    expect(rest.files).toHaveLength(30);
    expect(rest.directories).toContain('node_modules');
    expect(rest.directories).toContain('web/node_modules');
    expect(rest.directories.some((directory) => directory.startsWith('node_modules/'))).toBe(false);
    const whole = await planTree(bound[0]?.root ?? EMPTY_DIGEST, tree.read, never);
    expect(whole.files).toHaveLength(1000);
  });

  test('no more than a step can well mount', async () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`vendor${index}`, 300]));
    expect(await bound(treeOf(many))).toHaveLength(16);
  });
});

describe('shapes of trees', () => {
  test('are remembered: a tree that shares parts with one seen before reads only what is new', async () => {
    const shapes = new Shapes();
    const reads: string[] = [];
    const reading = (tree: ReturnType<typeof treeOf>) => async (digest: typeof tree.root) => {
      reads.push(digest);
      return tree.read(digest);
    };
    const first = treeOf({ node_modules: 100, src: 7 });
    const shapeOf = await shapes.below(first.root, reading(first), never);
    expect(shapeOf(first.root)).toMatchObject({ fileCount: 107 });
    reads.length = 0;
    const second = treeOf({ node_modules: 100, src: 8 });
    expect((await shapes.below(second.root, reading(second), never))(second.root)).toMatchObject({ fileCount: 108 });
    expect(reads).toHaveLength(3);
  });
});
