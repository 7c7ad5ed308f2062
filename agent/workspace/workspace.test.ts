import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { buildTree, type TreeEntry } from '../../cache/tree/build.ts';
import { materialise, storeFileSource } from '../../cache/tree/materialise.ts';
import { FIXED_MTIME_S } from '../../cache/tree/place.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import type { Overlays } from '../sandbox/sandbox.ts';
import { listTree } from '../../test/fixtures/trees.ts';
import { RUNGS } from '../tier/rung.ts';
import { openTier, type LocalTier } from '../tier/tier.ts';
import { collectOutputs } from './outputs.ts';
import { openWorkspaces, type StoredAs, type Workspaces } from './workspace.ts';

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };

type Place = {
  readonly dir: string;
  readonly tier: LocalTier;
  readonly store: BlobStore;
  readonly workspaces: Workspaces;
} & AsyncDisposable;

/** Answers as the kernel would where nothing was made anew. */
const untouched: Overlays = { present: async (_root, _binds, paths) => paths.map(() => true) };

async function openPlace(canBind = false, aheadMs = 0): Promise<Place> {
  const env = { log: memoryLogger(), clock: { ...systemClock, now: () => systemClock.now() + aheadMs } };
  const dir = await tempDir();
  const tier = openTier({ dir: path.join(dir.path, 'tier'), maxBytes: 100_000_000, guarded: canBind, env });
  const workspaces = await openWorkspaces({ dir: path.join(dir.path, 'ws'), tier, overlays: canBind ? untouched : undefined, env });
  return {
    dir: dir.path,
    tier,
    store: memoryStore(),
    workspaces,
    async [Symbol.asyncDispose]() {
      await tier[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

async function putTree(store: BlobStore, files: Readonly<Record<string, string>>, extra: readonly TreeEntry[] = []): Promise<Digest> {
  const entries: TreeEntry[] = [...extra];
  for (const [name, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    await store.put(digestOf(bytes), bytes, never);
    entries.push({ kind: 'file', path: name, digest: digestOf(bytes), executable: name.endsWith('.sh') });
  }
  const tree = buildTree(entries);
  for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, never);
  return tree.root;
}

const plain = { scope: 'main', workingDirectory: '', outputs: [] as readonly string[] };

describe('workspaces', () => {
  test('hold the inputs, the working directory and the parents of outputs, and nothing when done', async () => {
    await using place = await openPlace();
    const inputRoot = await putTree(place.store, { 'src/a.txt': 'a', 'run.sh': 'x' });
    {
      await using workspace = await place.workspaces.prepare(
        { ...plain, inputRoot, workingDirectory: 'web', outputs: ['dist/deep/app.js', '../report'] },
        place.store,
        never,
      );
      expect(new Set(fs.readdirSync(workspace.root, { recursive: true }).map(String))).toEqual(
        new Set(['run.sh', 'src', 'src/a.txt', 'web', 'web/dist', 'web/dist/deep']),
      );
      expect(fs.statSync(path.join(workspace.root, 'run.sh')).mode & 0o111).toBe(0o111);
      expect(workspace.bytesIn).toBeGreaterThan(2);
      fs.mkdirSync(path.join(workspace.root, 'locked/inner'), { recursive: true });
      fs.chmodSync(path.join(workspace.root, 'locked'), 0);
    }
    expect(fs.readdirSync(path.join(place.dir, 'ws'))).toEqual([]);
  });

  test('are apart: what one attempt does to its inputs, no other sees', async () => {
    await using place = await openPlace();
    const inputRoot = await putTree(place.store, { 'a.txt': 'as it was' });
    await using one = await place.workspaces.prepare({ ...plain, inputRoot }, place.store, never);
    fs.writeFileSync(path.join(one.root, 'a.txt'), 'changed');
    await using two = await place.workspaces.prepare({ ...plain, inputRoot }, place.store, never);
    expect(fs.readFileSync(path.join(two.root, 'a.txt'), 'utf8')).toBe('as it was');
    expect(two.bytesIn).toBe(0);
  });

  test('bind large directories where the sandbox can, and copy them where it cannot', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`node_modules/p${index}/index.js`, `${index}`]));
    for (const canBind of [true, false]) {
      await using place = await openPlace(canBind);
      const inputRoot = await putTree(place.store, { ...files, 'src/a.ts': 'a' });
      await using workspace = await place.workspaces.prepare({ ...plain, inputRoot }, place.store, never);
      expect(workspace.binds.map((bind) => bind.to)).toEqual(canBind ? ['node_modules'] : []);
      expect(fs.readdirSync(path.join(workspace.root, 'node_modules'))).toHaveLength(canBind ? 0 : 300);
      for (const bind of workspace.binds) expect(fs.readFileSync(path.join(bind.from, 'p7/index.js'), 'utf8')).toBe('7');
      await using again = await place.workspaces.prepare({ ...plain, inputRoot }, place.store, never);
      expect(again.bytesIn).toBe(0);
    }
  });

  test('hold placed trees, in the place of what the inputs have there, and store what became of them', async () => {
    await using place = await openPlace();
    const inputRoot = await putTree(place.store, { 'web/deps/old': 'gone', 'web/app.js': 'x' });
    const deps = await putTree(place.store, { 'one/index.js': '1', 'two/index.js': '2' });
    const placed = [{ path: './web//deps', root: deps }];
    await using workspace = await place.workspaces.prepare({ ...plain, inputRoot, placed }, place.store, never);
    expect(fs.readdirSync(path.join(workspace.root, 'web/deps'))).toEqual(['one', 'two']);
    expect(await workspace.save('web/deps', never)).toMatchObject({ root: deps, bytes: 2 });
    fs.rmSync(path.join(workspace.root, 'web/deps/one'), { recursive: true });
    fs.writeFileSync(path.join(workspace.root, 'web/deps/two/index.js'), 'changed');
    const changed = await putTree(memoryStore(), { 'two/index.js': 'changed' });
    expect((await workspace.save('web/deps', never))?.root).toBe(changed);
    await using next = await place.workspaces.prepare({ ...plain, inputRoot, placed: [{ path: 'd', root: changed }] }, place.store, never);
    expect(fs.readFileSync(path.join(next.root, 'd/two/index.js'), 'utf8')).toBe('changed');
    expect(await next.save('not/there', never)).toBeUndefined();
  });

  test('give the copy of one step to the next at the same path, looked at and put right, but only within the scope', async () => {
    await using place = await openPlace(false, 100_000);
    const files = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`d${index % 9}/f${index}`, `file ${index}`]));
    const first = await putTree(place.store, files);
    const second = await putTree(place.store, { ...files, 'd3/f3': 'other', 'new/one': 'new' });
    const inputRoot = await putTree(place.store, {});
    const use = async (root: Digest, expected: string, change: (deps: string) => void, scope = 'main') => {
      const before = new Map(RUNGS.map((rung) => [rung, place.tier.restores.of(rung)]));
      await using workspace = await place.workspaces.prepare(
        { ...plain, inputRoot, scope, placed: [{ path: 'deps', root }] },
        place.store,
        never,
      );
      expect(RUNGS.filter((rung) => place.tier.restores.of(rung) > (before.get(rung) ?? 0))).toEqual([expected]);
      const deps = path.join(workspace.root, 'deps');
      expect((await scanTree(deps, {}, never)).root).toBe(root);
      expect(
        new Set(fs.readdirSync(deps, { recursive: true, encoding: 'utf8' }).map((at) => fs.statSync(path.join(deps, at)).mtimeMs)),
      ).toEqual(new Set([FIXED_MTIME_S * 1_000]));
      change(deps);
      return await workspace.save('deps', never);
    };
    expect(await use(first, 'fetch', () => {})).toMatchObject({ root: first, hashedCount: 0 });
    expect(await use(first, 'present', () => {})).toMatchObject({ root: first, hashedCount: 0 });
    const changed = await use(first, 'present', (deps) => {
      fs.rmSync(path.join(deps, 'd1'), { recursive: true });
      fs.chmodSync(path.join(deps, 'd4'), 0o500);
      fs.writeFileSync(path.join(deps, 'd2/f2'), 'changed');
      fs.utimesSync(path.join(deps, 'd2/f2'), FIXED_MTIME_S, FIXED_MTIME_S);
    });
    expect(changed?.hashedCount).toBe(1);
    expect(await use(second, 'delta', () => {})).toMatchObject({ root: second, hashedCount: 0 });
    expect(await use(first, 'fetch', () => {}, 'main/pr-1')).toMatchObject({ root: first });
  });

  test('hold only the part of a tree that is asked for, fetch no more, and do not save that as the whole', async () => {
    await using place = await openPlace();
    const large = 'x'.repeat(100_000);
    const root = await putTree(place.store, { 'bin/tool.sh': 'tool', 'lib/large': large, 'lib/x.h': 'h' });
    const placed = [{ path: 'sdk', root, only: ['bin', '**/*.h'] }];
    await using workspace = await place.workspaces.prepare(
      { ...plain, inputRoot: await putTree(place.store, {}), placed },
      place.store,
      never,
    );
    expect(listTree(path.join(workspace.root, 'sdk'))).toHaveLength(4);
    expect(workspace.bytesIn).toBeLessThan(2_000);
    expect(workspace.restores).toEqual([{ path: 'sdk', rung: 'fetch', bytesIn: expect.any(Number) }]);
    await expect(workspace.save('sdk', never)).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'only' });
  });

  test('send again what the store has lost of a tree that was changed', async () => {
    for (const canBind of [true, false]) {
      await using place = await openPlace(canBind, 100_000);
      const files = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`d${index % 9}/f${index}`, `file ${index}`]));
      const inputRoot = await putTree(place.store, {});
      const root = await putTree(place.store, files);
      await using _warm = await place.workspaces.prepare({ ...plain, inputRoot, placed: [{ path: 'deps', root }] }, place.store, never);
      const emptied = memoryStore();
      await using workspace = await place.workspaces.prepare({ ...plain, inputRoot, placed: [{ path: 'deps', root }] }, emptied, never);
      fs.writeFileSync(path.join(workspace.root, 'deps/new'), 'new');
      const saved = await workspace.save('deps', never);
      const expected = await putTree(memoryStore(), { ...files, new: 'new' });
      expect(saved).toMatchObject({ root: expected, hashedCount: 1 });
      const back = path.join(place.dir, 'back');
      await materialise(expected, back, storeFileSource(emptied), never);
      expect(listTree(back)).toHaveLength(100);
    }
  });

  test('make nothing anew for a tree that is saved unchanged, where it is known how it is stored and the store still has that', async () => {
    for (const canBind of [true, false]) {
      await using place = await openPlace(canBind, 100_000);
      const files = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`d${index % 9}/f${index}`, `file ${index}`]));
      const inputRoot = await putTree(place.store, {});
      const root = await putTree(place.store, files);
      const save = async (stored: StoredAs | undefined) => {
        const placed = [{ path: 'deps', root, stored }];
        await using workspace = await place.workspaces.prepare({ ...plain, inputRoot, placed }, place.store, never);
        return await workspace.save('deps', never);
      };
      const made = await save(undefined);
      if (made === undefined) throw new Error('nothing was saved');
      expect(await save({ tree: made.tree, bytes: 7 })).toMatchObject({ root, tree: made.tree, bytes: 7, sentBytes: 0 });
      const lost = digestOf(Buffer.from('not in the store'));
      expect(await save({ tree: lost, bytes: 7 })).toMatchObject({ root, tree: made.tree, bytes: made.bytes });
    }
  });

  test('read only what changed of inputs that are outputs too', async () => {
    await using place = await openPlace(false, 100_000);
    const files = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`out/d${index % 9}/f${index}`, `file ${index}`]));
    const inputRoot = await putTree(place.store, files);
    await using workspace = await place.workspaces.prepare({ ...plain, inputRoot, outputs: ['out'] }, place.store, never);
    fs.writeFileSync(path.join(workspace.root, 'out/d0/new'), 'new');
    const read = fs.statSync(path.join(workspace.root, 'out/d1/f1')).atimeMs;
    const saved = await workspace.save('out', never);
    expect(saved).toMatchObject({ hashedCount: 1 });
    expect(fs.statSync(path.join(workspace.root, 'out/d1/f1')).atimeMs).toBe(read);
    const { entries } = await collectOutputs(workspace.view, '', ['out'], place.store, never);
    expect(entries).toMatchObject([{ kind: 'directory', root: saved?.root }]);
    expect((await scanTree(path.join(workspace.root, 'out'), {}, never)).root).toBe(saved?.root);
  });

  test('refuse placed trees that are in the way of each other or of the root', async () => {
    await using place = await openPlace();
    const root = await putTree(place.store, { file: 'x' });
    for (const paths of [['a', 'a/b'], ['a', './a'], ['.'], ['../a']]) {
      const placed = paths.map((at) => ({ path: at, root }));
      await expect(place.workspaces.prepare({ ...plain, inputRoot: root, placed }, place.store, never)).rejects.toMatchObject({
        code: paths.includes('../a') ? 'PATH_ESCAPES' : 'BAD_REQUEST',
      });
    }
  });

  test('refuse outputs and working directories that lead out, by name or through a link of the inputs', async () => {
    await using place = await openPlace();
    const inputRoot = await putTree(place.store, { file: 'x' }, [
      { kind: 'symlink', path: 'away', target: '/tmp' },
      { kind: 'symlink', path: 'up', target: '..' },
    ]);
    const tries = [
      { outputs: ['../x'], code: 'PATH_ESCAPES' },
      { outputs: ['/etc/x'], code: 'PATH_ESCAPES' },
      { outputs: ['away/sub/x'], code: 'PATH_ESCAPES' },
      { outputs: ['up/sub/x'], code: 'PATH_ESCAPES' },
      { outputs: ['file/x'], code: 'BAD_REQUEST' },
      { outputs: [], workingDirectory: '../..', code: 'PATH_ESCAPES' },
      { outputs: [], workingDirectory: 'away', code: 'PATH_ESCAPES' },
    ];
    for (const { code, ...wrong } of tries) {
      await expect(place.workspaces.prepare({ ...plain, inputRoot, ...wrong }, place.store, never)).rejects.toMatchObject({ code });
    }
    expect(fs.readdirSync(path.join(place.dir, 'ws'))).toEqual([]);
  });

  test('that cannot be made leave nothing behind', async () => {
    await using place = await openPlace();
    const inputRoot = await putTree(memoryStore(), { a: 'a' });
    await expect(place.workspaces.prepare({ ...plain, inputRoot }, place.store, never)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    const stored = await putTree(place.store, { b: 'b' });
    await expect(place.workspaces.prepare({ ...plain, inputRoot: stored }, place.store, AbortSignal.abort())).rejects.toBeDefined();
    expect(fs.readdirSync(path.join(place.dir, 'ws'))).toEqual([]);
  });

  test('of an agent that was killed are removed when the next one starts', async () => {
    await using dir = await tempDir();
    const left = path.join(dir.path, 'ws/left/root/deep');
    fs.mkdirSync(left, { recursive: true });
    fs.writeFileSync(path.join(left, 'file'), '');
    fs.chmodSync(left, 0o500);
    fs.chmodSync(path.dirname(left), 0);
    await using tier = openTier({ dir: path.join(dir.path, 'tier'), maxBytes: 1, guarded: false, env });
    await openWorkspaces({ dir: path.join(dir.path, 'ws'), tier, overlays: undefined, env });
    expect(fs.readdirSync(path.join(dir.path, 'ws'))).toEqual([]);
  });
});
