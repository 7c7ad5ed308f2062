import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { wholeTree } from '../../cache/layer/tree-message.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { buildTree } from '../../cache/tree/build.ts';
import { FIXED_MTIME_S } from '../../cache/tree/place.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { draw, sketches, type Sketch } from '../../test/fixtures/trees.ts';
import { openTier, type LocalTier } from './tier.ts';

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };

function openIn(dir: string, maxBytes = 1e9): LocalTier {
  return openTier({ dir: path.join(dir, 'tier'), maxBytes, guarded: true, env });
}

let drawn = 0;
/** Stores the sketch; `scanned` tells what was stored of it. */
async function stored(sketch: Sketch, dir: string, store: BlobStore): Promise<Digest> {
  const at = path.join(dir, `drawn-${drawn++}`);
  draw(sketch, at);
  const tree = await scanTree(at, {}, never);
  await uploadTree(tree, store, never);
  return tree.root;
}

/** Packages of ten files each. */
function packages(versions: Readonly<Record<string, string>>): Sketch {
  const files = (name: string, version: string): Sketch =>
    new Map(Array.from({ length: 10 }, (_, index) => [`f${index}.js`, Buffer.from(`${name} ${index === 0 ? version : ''} ${index}`)]));
  return new Map(Object.entries(versions).map(([name, version]) => [name, files(name, version)]));
}

/** What the files of a package are, as `packages` makes them. */
const packageFiles = (at: number): readonly Digest[] =>
  Array.from({ length: 10 }, (_, index) => digestOf(Buffer.from(`package-${at} ${index === 0 ? '1' : ''} ${index}`)));

const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`package-${index}`, '1']));

describe('trees of the local tier', () => {
  test('are made from a similar one that nobody uses, with only the difference fetched, and what goes is kept as blobs', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = memoryStore();
    const [old, next] = [
      await stored(packages(many), dir.path, store),
      await stored(packages({ ...many, 'package-7': '2' }), dir.path, store),
    ];
    const view = tier.view('main', store);
    const first = await view.tree(old, 'node_modules', never);
    expect(first.rung).toBe('fetch');
    first[Symbol.dispose]();
    const before = view.bytesIn;
    const second = await view.tree(next, 'node_modules', never);
    expect(second.rung).toBe('delta');
    expect(view.bytesIn - before).toBeLessThan(3_500); // two directories and one file
    expect((await scanTree(second.path, {}, never)).root).toBe(next);
    expect(new Set(['', 'package-7', 'package-7/f0.js'].map((at) => fs.statSync(path.join(second.path, at)).mtimeMs))).toEqual(
      new Set([FIXED_MTIME_S * 1_000]),
    );
    expect(fs.existsSync(first.path)).toBe(false);
    second[Symbol.dispose]();
    const back = tier.view('main', memoryStore());
    using again = await back.tree(old, 'node_modules', never);
    expect([again.rung, back.bytesIn]).toEqual(['delta', 0]);
    expect((await scanTree(again.path, {}, never)).root).toBe(old);
  });

  test('of which nothing is there come with all their directories in one blob, where it is known, and without where it is gone', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const inner = memoryStore();
    const root = await stored(packages(many), dir.path, inner);
    const whole = await wholeTree(root, blobReader(inner), never);
    await inner.put(whole.tree, whole.message, never);
    const reads: Digest[] = [];
    const store: BlobStore = {
      ...inner,
      get(digest, range, signal) {
        reads.push(digest);
        return inner.get(digest, range, signal);
      },
    };
    using tree = await tier.view('main', store).tree(root, 'node_modules', never, whole.tree);
    expect((await scanTree(tree.path, {}, never)).root).toBe(root);
    const files = new Set(Array.from({ length: 20 }, (_, at) => packageFiles(at)).flat());
    expect(reads.filter((digest) => !files.has(digest))).toEqual([whole.tree]);
    using other = await tier.view('other', store).tree(root, 'node_modules', never, digestOf(Buffer.from('no such message')));
    expect((await scanTree(other.path, {}, never)).root).toBe(root);
  });

  test('become another one also where many small parts of them change, as long as most of their bytes stay', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = memoryStore();
    const files = (version: string, count: number): Sketch =>
      new Map(Array.from({ length: count }, (_, index) => [`f${index}`, Buffer.from(`${version} ${index} `.repeat(10))]));
    const kept = files('kept', 400);
    const put = (version: string, count: number) =>
      stored(
        new Map([
          ['kept', kept],
          ['changed', files(version, count)],
        ]),
        dir.path,
        store,
      );
    const [old, next, far] = [await put('1', 100), await put('2', 100), await put('3', 2_000)] as const;
    const view = tier.view('main', store);
    for (const [root, rung] of [
      [old, 'fetch'],
      [next, 'delta'],
      [far, 'delta'],
      [next, 'fetch'],
    ] as const) {
      using lease = await view.tree(root, 'deps', never);
      expect([lease.rung, (await scanTree(lease.path, {}, never)).root]).toEqual([rung, root]);
    }
  });

  test('that are in use stay as they are, and lend their files to similar ones', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = memoryStore();
    const [old, next] = [await stored(packages(many), dir.path, store), await stored(packages({ ...many, extra: '1' }), dir.path, store)];
    const view = tier.view('main', store);
    using first = await view.tree(old, 'deps', never);
    using second = await view.tree(next, 'deps', never);
    using third = await view.tree(old, 'other/place', never);
    expect([second.rung, third.rung]).toEqual(['fetch', 'links']);
    for (const [lease, root] of [
      [first, old],
      [second, next],
      [third, old],
    ] as const) {
      expect((await scanTree(lease.path, {}, never)).root).toBe(root);
    }
    const inode = (at: string) => fs.statSync(path.join(at, 'package-3/f3.js')).ino;
    expect([inode(second.path), inode(third.path)]).toEqual([inode(first.path), inode(first.path)]);
    expect(third.path.endsWith('/other/place')).toBe(true);
  });

  test('lend files that can be executed, and these stay so when one of the trees becomes another', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = memoryStore();
    const put = async (names: readonly string[]) => {
      const blob = Buffer.from('#!/bin/sh');
      await store.put(digestOf(blob), blob, never);
      const entries = names.map((name) => ({ kind: 'file' as const, path: name, digest: digestOf(blob), executable: true }));
      const tree = buildTree([...entries, ...entries.map((entry) => ({ ...entry, path: `more/${entry.path}`, executable: false }))]);
      for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, never);
      return tree.root;
    };
    const [old, next] = [await put(['one', 'two', 'three']), await put(['two', 'three'])];
    const view = tier.view('main', store);
    using first = await view.tree(old, 'deps', never);
    (await view.tree(old, 'elsewhere', never))[Symbol.dispose]();
    using second = await view.tree(next, 'elsewhere', never);
    expect(second.rung).toBe('delta');
    for (const [lease, root] of [
      [first, old],
      [second, next],
    ] as const)
      expect((await scanTree(lease.path, {}, never)).root).toBe(root);
    expect(fs.statSync(path.join(first.path, 'one')).mode & 0o777).toBe(0o755);
  });

  test('are what they should be, whatever was there before', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = memoryStore();
    const held: Disposable[] = [];
    const view = tier.view('main', store);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(sketches, fc.boolean(), fc.constantFrom('a', 'b/c')), { minLength: 1, maxLength: 4 }),
        async (steps) => {
          for (const [sketch, keep, at] of steps) {
            const merged: Sketch = new Map([...packages({ one: '1', two: '1' }), ...sketch]);
            const root = await stored(merged, dir.path, store);
            const lease = await view.tree(root, at, never);
            expect((await scanTree(lease.path, {}, never)).root).toBe(root);
            if (keep) held.push(lease);
            else lease[Symbol.dispose]();
          }
        },
      ),
      { numRuns: 25 },
    );
    for (const lease of held) lease[Symbol.dispose]();
    expect(fs.readdirSync(path.join(dir.path, 'tier/incoming'))).toEqual([]);
  });

  test('that were being evicted, or made from another, when the agent was killed are gone or whole (failure mode 14)', async () => {
    await using dir = await tempDir();
    const store = memoryStore();
    const roots = [
      await stored(packages({ a: '1', b: '1' }), dir.path, store),
      await stored(packages({ c: '1', d: '1' }), dir.path, store),
    ] as const;
    let mounted = '';
    {
      await using tier = openIn(dir.path, 300);
      using lease = await tier.view('main', store).tree(roots[0], 'deps', never);
      using other = await tier.view('main', store).tree(roots[1], 'deps', never);
      // Beyond the limit, and yet both are there: they are mounted.
      expect([fs.existsSync(lease.path), fs.existsSync(other.path)]).toEqual([true, true]);
      mounted = lease.path;
    }
    const trees = path.dirname(path.dirname(path.dirname(mounted)));
    // Killed in the middle of removing the one, and of changing the other.
    const [gone = '', changing = ''] = fs.readdirSync(trees);
    fs.renameSync(path.join(trees, gone), path.join(dir.path, 'tier/trash/x'));
    fs.rmSync(path.join(dir.path, 'tier/trash/x/t/deps'), { recursive: true });
    fs.renameSync(path.join(trees, changing), path.join(dir.path, 'tier/incoming/y'));
    await using tier = openIn(dir.path);
    const view = tier.view('main', store);
    for (const root of roots) {
      using lease = await view.tree(root, 'deps', never);
      expect((await scanTree(lease.path, {}, never)).root).toBe(root);
    }
    expect(fs.readdirSync(path.join(dir.path, 'tier/incoming'))).toEqual([]);
  });
});
