import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { scanTree } from '../tree/scan.ts';
import { openFileWriters } from './file-writers.ts';
import { linkDirectories, linkTree } from './link-tree.ts';

const never = new AbortController().signal;
const MTIME_US = 1_600_000_000_123_457;

/** Directories of files that differ in mode and time, some of them executable, links beside them. */
function drawTree(top: string, directoryCount: number, filesEach: number): void {
  for (let index = 0; index < directoryCount; index += 1) {
    const directory = path.join(top, `group-${index % 7}`, `package-${index}`);
    fs.mkdirSync(directory, { recursive: true });
    for (let file = 0; file < filesEach; file += 1) {
      const at = path.join(directory, `file-${file}.js`);
      fs.writeFileSync(at, `content ${index} ${file}`);
      fs.chmodSync(at, file % 3 === 0 ? 0o755 : 0o640);
    }
    fs.symlinkSync(`../package-${index}/nowhere`, path.join(directory, 'link'));
    fs.mkdirSync(path.join(directory, 'empty'), { mode: 0o555 });
    fs.utimesSync(directory, 1, (MTIME_US + index + 0.5) / 1e6);
  }
}

/** Everything that `lstat` tells of a tree, but what belongs to the directory entry. */
function lookOf(top: string): readonly unknown[] {
  return fs
    .readdirSync(top, { recursive: true, encoding: 'utf8' })
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((at) => {
      const stat = fs.lstatSync(path.join(top, at), { bigint: true });
      const time = stat.isSymbolicLink() ? 0n : stat.mtimeNs / 1_000n;
      return [at, stat.mode, time, stat.isFile() ? stat.ino : fs.existsSync(path.join(top, at))];
    });
}

describe('a tree that is linked', () => {
  test.for([[3], [400]] as const)('is the same tree with the same files, %s directories of it', async ([directoryCount]) => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const [from, to] = [path.join(dir.path, 'from'), path.join(dir.path, 'to')];
    drawTree(from, directoryCount, 10);
    await linkTree(from, to, writers, never);
    expect(lookOf(to)).toEqual(lookOf(from));
    expect((await scanTree(to, { escapingLinks: 'keep' }, never)).root).toBe((await scanTree(from, { escapingLinks: 'keep' }, never)).root);
    await expect(linkTree(from, to, writers, never)).rejects.toThrow('EEXIST');
    expect(lookOf(to)).toEqual(lookOf(from));
  });

  test('is given up where its source is not what a tree is, or nobody wants it any more', async () => {
    await using dir = await tempDir();
    await using writers = openFileWriters(systemClock);
    const from = path.join(dir.path, 'from');
    drawTree(from, 400, 10);
    await expect(linkTree(from, path.join(dir.path, 'a'), writers, AbortSignal.abort(new Error('stop')))).rejects.toThrow();
    fs.rmSync(path.join(from, 'group-3'), { recursive: true });
    fs.linkSync(path.join(from, 'group-4/package-4/file-0.js'), path.join(from, 'group-3'));
    await linkTree(from, path.join(dir.path, 'b'), writers, never);
    expect(fs.statSync(path.join(dir.path, 'b/group-3')).isFile()).toBe(true);
    await expect(linkTree(path.join(dir.path, 'nowhere'), path.join(dir.path, 'c'), writers, never)).rejects.toThrow('ENOENT');
  });

  test('holds a copy of a file that can have no more names, and the next tree links to that', async () => {
    await using dir = await tempDir();
    const from = path.join(dir.path, 'from');
    drawTree(from, 1, 2);
    const full = (existing: string, made: string) => {
      if (fs.statSync(existing).nlink >= 2) throw Object.assign(new Error('too many links'), { code: 'EMLINK' });
      fs.linkSync(existing, made);
    };
    const inode = (top: string) => fs.statSync(path.join(dir.path, top, 'group-0/package-0/file-0.js')).ino;
    for (const [source, target] of [
      ['from', 'one'],
      ['from', 'two'],
      ['two', 'three'],
    ] as const) {
      const to = path.join(dir.path, target);
      fs.mkdirSync(to);
      expect(linkDirectories([{ from: path.join(dir.path, source), to }], 1_000, full)).toEqual([]);
      expect((await scanTree(to, { escapingLinks: 'keep' }, never)).root).toBe(
        (await scanTree(from, { escapingLinks: 'keep' }, never)).root,
      );
    }
    expect(inode('one')).toBe(inode('from'));
    expect(inode('two')).not.toBe(inode('from'));
    expect(inode('three')).toBe(inode('two'));
  });
});
