import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { EMPTY_DIRECTORY, encodeDirectory } from './directory.ts';
import { scanEntries, scanTree, treeOfEntries } from './scan.ts';
import { openStatIndex } from './stat-index.ts';
import { uploadTree } from './upload.ts';

const { signal } = new AbortController();

describe('a scan', () => {
  test('takes what is selected, and enters no directory that is not', async () => {
    await using dir = await tempDir();
    for (const file of ['a.ts', 'b.js', 'src/c.ts', 'src/d.js', 'skip/e.ts', 'docs/f.md']) {
      fs.mkdirSync(path.dirname(path.join(dir.path, file)), { recursive: true });
      fs.writeFileSync(path.join(dir.path, file), file);
    }
    fs.chmodSync(path.join(dir.path, 'skip'), 0o000);
    const select = (at: string, kind: string) => at !== 'skip' && (kind === 'directory' || at.endsWith('.ts'));
    const kept = await scanEntries(dir.path, { select }, signal);
    expect(kept.map((entry) => entry.path).toSorted()).toEqual(['a.ts', 'docs', 'src', 'src/c.ts']);
    const dropped = await scanEntries(dir.path, { select, emptyDirectories: 'drop' }, signal);
    expect(treeOfEntries(dropped).root).toBe(treeOfEntries(kept.filter((entry) => entry.path !== 'docs')).root);
    expect(treeOfEntries([]).root).toBe(digestOf(encodeDirectory(EMPTY_DIRECTORY)));
    fs.chmodSync(path.join(dir.path, 'skip'), 0o700);
  });

  test.for([
    ['../outside', 'd/link'],
    ['../../outside', 'd/link'],
    ['/etc/passwd', 'link'],
    ['a/../../outside', 'link'],
  ] as const)('refuses a link to %s at %s by its path', async ([target, at]) => {
    await using dir = await tempDir();
    fs.mkdirSync(path.join(dir.path, 'd'));
    fs.symlinkSync(target, path.join(dir.path, at));
    const escapes = !(target === '../outside' && at === 'd/link');
    if (!escapes) expect((await scanTree(dir.path, {}, signal)).directories.size).toBe(2);
    else await expect(scanTree(dir.path, {}, signal)).rejects.toThrow(`"${at}" is a link to "${target}", which is out of the tree`);
    await scanTree(dir.path, { escapingLinks: 'keep' }, signal);
    await scanTree(dir.path, { within: 'deep/er' }, signal).then(
      () => expect(target.startsWith('/')).toBe(false),
      () => expect(target.startsWith('/')).toBe(true),
    );
  });

  test('refuses pipes and sockets by name, unless they are not selected', async () => {
    await using dir = await tempDir();
    execFileSync('mkfifo', [path.join(dir.path, 'pipe')]);
    await expect(scanTree(dir.path, {}, signal)).rejects.toThrow('"pipe" is a socket, a pipe or a device');
    await scanTree(dir.path, { select: (at) => at !== 'pipe' }, signal);
  });

  test('refuses names that are not UTF-8, and keeps U+FFFD that is', async () => {
    await using dir = await tempDir();
    fs.writeFileSync(path.join(dir.path, '\ufffd'), 'fine');
    await scanTree(dir.path, {}, signal);
    fs.writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/`), Buffer.from([0xff, 0xfe])]), 'not');
    await expect(scanTree(dir.path, {}, signal)).rejects.toThrow('name is not UTF-8');
  });

  test('says what it could not read', async () => {
    await expectFault('BAD_REQUEST', scanTree('/nonexistent/place', {}, signal));
  });

  test('stops when told to', async () => {
    await using dir = await tempDir();
    await expect(scanTree(dir.path, {}, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });

  test('notices in the upload that a file changed after it was scanned', async () => {
    await using dir = await tempDir();
    for (const [name, size] of [
      ['small', 10],
      ['large', 3_000_000],
    ] as const) {
      fs.writeFileSync(path.join(dir.path, name), Buffer.alloc(size, 1));
      const tree = await scanTree(dir.path, {}, signal);
      fs.writeFileSync(path.join(dir.path, name), Buffer.alloc(size, 2));
      const upload = uploadTree(tree, memoryStore(), signal);
      await expect(upload).rejects.toThrow(
        expect.objectContaining({ code: 'DIGEST_MISMATCH', message: expect.stringContaining(`${name}" changed`) }),
      );
      fs.rmSync(path.join(dir.path, name));
    }
  });
});

describe('the stat index', () => {
  const past = systemClock.now() / 1_000 - 100;

  async function scanWith(root: string, file: string, ahead = 100_000) {
    const index = openStatIndex(file, { ...systemClock, now: () => systemClock.now() + ahead });
    const asked: string[] = [];
    const watched = {
      ...index,
      record: (name: string, hashed: Parameters<typeof index.record>[1]) => {
        asked.push(path.basename(name));
        index.record(name, hashed);
      },
    };
    const tree = await scanTree(root, { statIndex: watched }, signal);
    index.save();
    return { root: tree.root, hashed: asked.toSorted() };
  }

  test('hashes again only what changed, even with its old time', async () => {
    await using dir = await tempDir();
    const [root, file] = [path.join(dir.path, 'root'), path.join(dir.path, 'index')];
    fs.mkdirSync(root);
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(path.join(root, name), name);
    const first = await scanWith(root, file);
    expect(first.hashed).toEqual(['a', 'b', 'c']);
    expect(await scanWith(root, file)).toEqual({ root: first.root, hashed: [] });
    fs.writeFileSync(path.join(root, 'b'), 'B');
    fs.utimesSync(path.join(root, 'b'), past, past);
    const changed = await scanWith(root, file);
    expect(changed.hashed).toEqual(['b']);
    expect(changed.root).not.toBe(first.root);
  });

  test('does not believe a file that was changed just before it was hashed', async () => {
    await using dir = await tempDir();
    const [root, file] = [path.join(dir.path, 'root'), path.join(dir.path, 'index')];
    fs.mkdirSync(root);
    fs.writeFileSync(path.join(root, 'a'), 'a');
    await scanWith(root, file, 0);
    expect((await scanWith(root, file, 0)).hashed).toEqual(['a']);
  });

  test('is an empty one where its file is damaged', async () => {
    await using dir = await tempDir();
    const [root, file] = [path.join(dir.path, 'root'), path.join(dir.path, 'index')];
    fs.mkdirSync(root);
    fs.writeFileSync(path.join(root, 'a'), 'a');
    await scanWith(root, file);
    fs.writeFileSync(file, '["x"]\n{{{\n[1,2,3]\nnull');
    expect((await scanWith(root, file)).hashed).toEqual(['a']);
  });
});
