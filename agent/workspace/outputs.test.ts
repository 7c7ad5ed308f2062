import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeTree } from '../../cache/action/tree-message.ts';
import { digestOf, sizeOf } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { fetchOutputs } from '../../cache/tree/fetch.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { collectOutputs } from './outputs.ts';
import { plainView } from './view.ts';

const never = new AbortController().signal;

function write(at: string, text: string): void {
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.writeFileSync(at, text);
}

describe('collecting outputs', () => {
  test('finds files, directories and links below the working directory; what is missing is left out', async () => {
    await using dir = await tempDir();
    const root = path.join(dir.path, 'root');
    write(path.join(root, 'web/app.js'), 'app');
    write(path.join(root, 'web/dist/deep/a'), 'aa');
    fs.mkdirSync(path.join(root, 'web/dist/empty'));
    fs.symlinkSync('deep/a', path.join(root, 'web/dist/link'));
    fs.symlinkSync('app.js', path.join(root, 'web/latest'));
    fs.chmodSync(path.join(root, 'web/app.js'), 0o755);
    const store = memoryStore();
    const { entries, bytesOut } = await collectOutputs(
      plainView(root),
      'web',
      ['app.js', 'dist', 'latest', 'missing', 'no/where'],
      store,
      never,
    );
    expect(entries.map((entry) => [entry.kind, entry.path])).toEqual([
      ['file', 'app.js'],
      ['directory', 'dist'],
      ['symlink', 'latest'],
    ]);
    expect(entries[0]).toEqual({ kind: 'file', path: 'app.js', digest: digestOf(Buffer.from('app')), executable: true });
    expect(bytesOut).toBeGreaterThan(5);
    const directory = entries[1];
    if (directory?.kind !== 'directory') throw new Error('no directory');
    expect(directory.bytes).toBe(2);
    const message = await blobReader(store)(directory.tree, never);
    expect(decodeTree(message).map((bytes) => digestOf(bytes))[0]).toBe(directory.root);
    const back = path.join(dir.path, 'back');
    fs.mkdirSync(back);
    await fetchOutputs(entries, back, store, never);
    expect(fs.readFileSync(path.join(back, 'dist/link'), 'utf8')).toBe('aa');
    expect(fs.existsSync(path.join(back, 'dist/empty'))).toBe(true);
  });

  test('stores only what the store lacks', async () => {
    await using dir = await tempDir();
    write(path.join(dir.path, 'out/a'), 'a');
    const store = memoryStore();
    await collectOutputs(plainView(dir.path), '', ['out'], store, never);
    expect((await collectOutputs(plainView(dir.path), '', ['out'], store, never)).bytesOut).toBe(0);
    write(path.join(dir.path, 'out/b'), 'bbb');
    const { entries, bytesOut } = await collectOutputs(plainView(dir.path), '', ['out'], store, never);
    const [out] = entries;
    if (out?.kind !== 'directory') throw new Error('no directory');
    expect(bytesOut).toBe(3 + sizeOf(out.root) + sizeOf(out.tree));
  });

  test('the whole working directory can be an output', async () => {
    await using dir = await tempDir();
    write(path.join(dir.path, 'a'), 'a');
    expect((await collectOutputs(plainView(dir.path), '', ['.'], memoryStore(), never)).entries).toMatchObject([
      { kind: 'directory', path: '.', bytes: 1 },
    ]);
  });

  test('refuses what leads out of the tree, naming the output', async () => {
    await using dir = await tempDir();
    const root = path.join(dir.path, 'root');
    write(path.join(dir.path, 'secret/file'), 'secret');
    fs.mkdirSync(path.join(root, 'out'), { recursive: true });
    fs.symlinkSync('../../secret/file', path.join(root, 'out/link'));
    fs.symlinkSync('/etc/passwd', path.join(root, 'absolute'));
    fs.symlinkSync('../secret', path.join(root, 'away'));
    const store = memoryStore();
    for (const output of ['out', 'absolute', 'away', 'away/file', '../secret/file', '/etc/passwd']) {
      await expect(collectOutputs(plainView(root), '', [output], store, never)).rejects.toMatchObject({ code: 'PATH_ESCAPES' });
    }
    await expect(collectOutputs(plainView(root), '', ['out'], store, never)).rejects.toThrow(/Output "out".*"out\/link"/);
    expect(await store.findMissing([digestOf(Buffer.from('secret'))], never)).toHaveLength(1);
  });

  test('keeps links that stay inside of the input root, also those that leave their own directory', async () => {
    await using dir = await tempDir();
    write(path.join(dir.path, 'src/a'), 'a');
    fs.mkdirSync(path.join(dir.path, 'out/deep'), { recursive: true });
    fs.symlinkSync('../../src/a', path.join(dir.path, 'out/deep/link'));
    expect((await collectOutputs(plainView(dir.path), '', ['out'], memoryStore(), never)).entries).toHaveLength(1);
  });

  test('refuses pipes, sockets and devices', async () => {
    await using dir = await tempDir();
    fs.mkdirSync(path.join(dir.path, 'out'));
    execFileSync('mkfifo', [path.join(dir.path, 'out/pipe'), path.join(dir.path, 'pipe')]);
    await expect(collectOutputs(plainView(dir.path), '', ['pipe'], memoryStore(), never)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(collectOutputs(plainView(dir.path), '', ['out'], memoryStore(), never)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});
