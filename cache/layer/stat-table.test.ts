import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { memoryStore } from '../memory.ts';
import { blobReader } from '../read-blob.ts';
import { DirectoryReader } from '../tree/directory-reader.ts';
import { scanTree } from '../tree/scan.ts';
import { uploadTree } from '../tree/upload.ts';
import { saveTree } from './save.ts';
import { statTree } from './stat-table.ts';

const never = new AbortController().signal;
const NOWHERE = { file: async () => {}, directory: async () => {} };

/** A tree of three files that was put somewhere, and what a save finds of it. */
async function placed(dir: string) {
  const top = path.join(dir, 'top');
  fs.mkdirSync(path.join(top, 'd'), { recursive: true });
  for (const name of ['a', 'b', 'd/c']) fs.writeFileSync(path.join(top, name), `content of ${name}`);
  const store = memoryStore();
  const tree = await scanTree(top, {}, never);
  await uploadTree(tree, store, never);
  const reader = new DirectoryReader(blobReader(store));
  const table = await statTree(top, tree.root, reader, never);
  const bases = new Map([['', { kind: 'stats' as const, root: tree.root, table }]]);
  const save = () => saveTree({ top, bases, reader, opaque: new Set() }, '', NOWHERE, {}, never);
  return { top, root: tree.root, table, save };
}

describe('a table of files', () => {
  test('spares reading what nobody changed, and only that', async () => {
    await using dir = await tempDir();
    const { top, root, table, save } = await placed(dir.path);
    table.seal(systemClock.now() + 10_000);
    expect(await save()).toEqual({ root, hashedCount: 0, hashedBytes: 0 });
    fs.appendFileSync(path.join(top, 'd/c'), '!');
    fs.writeFileSync(path.join(top, 'd/new'), 'new');
    fs.rmSync(path.join(top, 'a'));
    const saved = await save();
    expect(saved.hashedCount).toBe(2);
    expect(saved.root).toBe((await scanTree(top, {}, never)).root);
    expect([table.fileCount, table.bytes]).toEqual([3, 38]);
  });

  test('notices an edit of the same size whose time of content was set back (failure mode 10)', async () => {
    await using dir = await tempDir();
    const { top, table, save } = await placed(dir.path);
    table.seal(systemClock.now() + 10_000);
    const file = path.join(top, 'b');
    const { atime, mtime, size } = fs.statSync(file);
    fs.writeFileSync(file, 'x'.repeat(size));
    fs.utimesSync(file, atime, mtime);
    const saved = await save();
    expect(saved.hashedCount).toBe(1);
    expect(saved.root).toBe((await scanTree(top, {}, never)).root);
  });

  test('believes nothing of a file that was young when others could write, and nothing after the clock was set back', async () => {
    await using dir = await tempDir();
    const { root, table, save } = await placed(dir.path);
    expect((await save()).hashedCount).toBe(3); // not sealed
    table.seal(systemClock.now() - 3_600_000);
    expect(await save()).toMatchObject({ root, hashedCount: 3 });
    table.seal(systemClock.now());
    expect(await save()).toMatchObject({ root });
  });

  test('does not take another file for one that it knows', async () => {
    await using dir = await tempDir();
    const { top, table, save } = await placed(dir.path);
    table.seal(systemClock.now() + 10_000);
    fs.renameSync(path.join(top, 'a'), path.join(top, 'x'));
    fs.renameSync(path.join(top, 'b'), path.join(top, 'a'));
    fs.renameSync(path.join(top, 'x'), path.join(top, 'b'));
    expect((await save()).root).toBe((await scanTree(top, {}, never)).root);
  });
});
