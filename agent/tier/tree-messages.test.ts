import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { wholeTree } from '../../cache/layer/tree-message.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { WireWriter } from '../../cache/wire/wire.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { draw, type Sketch } from '../../test/fixtures/trees.ts';
import { openTier, type LocalTier } from './tier.ts';

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };

function openIn(dir: string): LocalTier {
  return openTier({ dir: path.join(dir, 'tier'), maxBytes: 1e9, guarded: true, env });
}

function filesBelow(dir: string): readonly string[] {
  return fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => fs.statSync(path.join(dir, name)).isFile());
}

function messageFile(dir: string): string {
  const found = filesBelow(dir).find((name) => name.includes('/messages/'));
  if (found === undefined) throw new Error('no message is kept');
  return path.join(dir, found);
}

const packages = (version: string): Sketch =>
  new Map(
    Array.from({ length: 20 }, (_, at) => [
      `package-${at}`,
      new Map([
        ['a.js', Buffer.from(`a of ${at}`)],
        ['b.js', Buffer.from(at === 7 ? version : `b of ${at}`)],
      ]),
    ]),
  );

/** Two versions of a tree; `reads` gets what is asked of the store. The first one's message is stored. */
async function twoVersions(dir: string) {
  const inner = memoryStore();
  const reads: Digest[] = [];
  const store: BlobStore = {
    ...inner,
    get(digest, range, signal) {
      reads.push(digest);
      return inner.get(digest, range, signal);
    },
  };
  const put = async (version: string) => {
    draw(packages(version), path.join(dir, version));
    const tree = await scanTree(path.join(dir, version), {}, never);
    await uploadTree(tree, inner, never);
    return tree.root;
  };
  const [old, next] = [await put('one'), await put('two')];
  const { tree, message } = await wholeTree(old, blobReader(inner), never);
  await inner.put(tree, message, never);
  return { store, reads, old, next, message: tree };
}

test('the directories of a tree are one file, which serves the next tree after a restart too', async () => {
  await using dir = await tempDir();
  const { store, reads, old, next, message } = await twoVersions(dir.path);
  {
    await using tier = openIn(dir.path);
    using _tree = await tier.view('main', store).tree(old, 'node_modules', never, message);
    expect(filesBelow(path.join(dir.path, 'tier/scopes')).filter((name) => !name.includes('/trees/'))).toHaveLength(1);
  }
  reads.length = 0;
  await using again = openIn(dir.path);
  using changed = await again.view('main', store).tree(next, 'node_modules', never);
  expect(changed.rung).toBe('delta');
  expect((await scanTree(changed.path, {}, never)).root).toBe(next);
  expect(reads).toHaveLength(3); // the root, a package and a file, all of the new tree
});

test('a file of directories that was damaged gives none of them, and the tree is made right', async () => {
  await using dir = await tempDir();
  const { store, old, next, message } = await twoVersions(dir.path);
  {
    await using tier = openIn(dir.path);
    using _tree = await tier.view('main', store).tree(old, 'node_modules', never, message);
  }
  const file = messageFile(dir.path);
  const bytes = fs.readFileSync(file);
  bytes.fill(0x41, 1_000, 1_040);
  fs.writeFileSync(file, bytes);
  await using again = openIn(dir.path);
  using changed = await again.view('main', store).tree(next, 'node_modules', never);
  expect((await scanTree(changed.path, {}, never)).root).toBe(next);
});

test('the oldest go where the last ones are more than 32 MiB', async () => {
  await using dir = await tempDir();
  await using tier = openIn(dir.path);
  const store = memoryStore();
  const view = tier.view('main', store);
  const roots: Digest[] = [];
  for (const letter of ['a', 'b', 'c']) {
    const root = Buffer.alloc(12 * 1024 * 1024, letter);
    const whole = new WireWriter().bytes(1, root).finish();
    await store.put(digestOf(whole), whole, never);
    roots.push(digestOf(root));
    await view.bringTree(digestOf(root), digestOf(whole), never);
  }
  expect(tier.usedBytes).toBeLessThan(32 * 1024 * 1024);
  for (const root of roots.slice(1)) expect(digestOf(await view.readDirectory(root, never))).toBe(root);
  await expect(view.readDirectory(roots[0] ?? digestOf(Buffer.from('x')), never)).rejects.toThrow();
});
