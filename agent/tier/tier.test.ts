import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import { buildTree, type TreeEntry } from '../../cache/tree/build.ts';
import { FIXED_MTIME_S } from '../../cache/tree/place.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { openTier, type LocalTier } from './tier.ts';

const never = new AbortController().signal;
const env = { log: memoryLogger(), clock: systemClock };

/** A store that tells how often each blob was read from it. */
function countingStore(): BlobStore & { readonly reads: Map<Digest, number> } {
  const inner = memoryStore();
  const reads = new Map<Digest, number>();
  return {
    traits: inner.traits,
    reads,
    get(digest, range, signal) {
      reads.set(digest, (reads.get(digest) ?? 0) + 1);
      return inner.get(digest, range, signal);
    },
    put: (digest, source, signal) => inner.put(digest, source, signal),
    findMissing: (digests, signal) => inner.findMissing(digests, signal),
  };
}

async function put(store: BlobStore, text: string): Promise<Digest> {
  const bytes = Buffer.from(text);
  await store.put(digestOf(bytes), bytes, never);
  return digestOf(bytes);
}

/** Stores a tree of files with their paths as contents; names that end in `!` are executable. */
async function putTree(store: BlobStore, paths: readonly string[]): Promise<Digest> {
  const entries: TreeEntry[] = [];
  for (const name of paths)
    entries.push({ kind: 'file', path: name, digest: await put(store, `contents of ${name}`), executable: name.endsWith('!') });
  const tree = buildTree(entries);
  for (const [digest, bytes] of tree.encoded) await store.put(digest, bytes, never);
  return tree.root;
}

function openIn(dir: string, maxBytes = 1_000_000, guarded = true): LocalTier {
  return openTier({ dir: path.join(dir, 'tier'), maxBytes, guarded, env });
}

const place = (at: string, digest: Digest, executable = false) => ({ path: at, digest, executable, mode: executable ? 0o755 : 0o644 });

describe('the local tier', () => {
  test('fetches a blob once, and gives each attempt a copy that is its own', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = countingStore();
    const digest = await put(store, 'hello');
    const view = tier.view('main', store);
    const paths = ['one', 'two'].map((name) => path.join(dir.path, name));
    await Promise.all(paths.map((at) => view.placeFile(place(at, digest), never)));
    expect(store.reads.get(digest)).toBe(1);
    expect(view.bytesIn).toBe(5);
    fs.appendFileSync(paths[0] ?? '', ' changed');
    const third = path.join(dir.path, 'three');
    const later = tier.view('main', store);
    await later.placeFile(place(third, digest, true), never);
    expect(fs.readFileSync(third, 'utf8')).toBe('hello');
    expect(fs.statSync(third).mode & 0o777).toBe(0o755);
    expect(fs.statSync(third).mtimeMs).toBe(FIXED_MTIME_S * 1000);
    expect(later.bytesIn).toBe(0);
  });

  test('shares nothing between scopes, so that having a blob proves nothing', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const full = countingStore();
    const digest = await put(full, 'private');
    await tier.view('main', full).placeFile(place(path.join(dir.path, 'a'), digest), never);
    const other = tier.view('main/pr-1', countingStore());
    await expect(other.placeFile(place(path.join(dir.path, 'b'), digest), never)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    expect(fs.existsSync(path.join(dir.path, 'b'))).toBe(false);
  });

  test('lets no wrong bytes in', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = countingStore();
    const digest = digestOf(Buffer.from('right'));
    async function* wrong(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('wrong');
    }
    const lying: BlobStore = { ...store, get: wrong };
    await expect(tier.view('main', lying).placeFile(place(path.join(dir.path, 'a'), digest), never)).rejects.toMatchObject({
      code: 'BLOB_CORRUPT',
    });
    await put(store, 'right');
    await tier.view('main', store).placeFile(place(path.join(dir.path, 'a'), digest), never);
    expect(fs.readFileSync(path.join(dir.path, 'a'), 'utf8')).toBe('right');
  });

  test('replaces blobs that were lost, cut or changed on its disk', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = countingStore();
    const [file, directory] = [await put(store, 'some file'), await putTree(store, ['x'])];
    const view = tier.view('main', store);
    await view.placeFile(place(path.join(dir.path, 'a'), file), never);
    await view.readDirectory(directory, never);
    const damage = (digest: Digest, change: (blob: string) => void) => {
      const found = fs
        .readdirSync(path.join(dir.path, 'tier'), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith(digest));
      change(path.join(dir.path, 'tier', found[0] ?? ''));
    };
    damage(file, (blob) => fs.truncateSync(blob, 3));
    damage(directory, (blob) => fs.writeFileSync(blob, 'x'.repeat(sizeOf(directory))));
    await view.placeFile(place(path.join(dir.path, 'b'), file), never);
    expect(fs.readFileSync(path.join(dir.path, 'b'), 'utf8')).toBe('some file');
    expect(digestOf(await view.readDirectory(directory, never))).toBe(directory);
    damage(file, (blob) => fs.rmSync(blob));
    await view.placeFile(place(path.join(dir.path, 'c'), file), never);
    expect(fs.readFileSync(path.join(dir.path, 'c'), 'utf8')).toBe('some file');
  });

  test('reads what it copies where a step could have written it, large files too, and believes sizes where none could', async () => {
    await using dir = await tempDir();
    const store = countingStore();
    const large = await put(store, 'as it was '.repeat(10_000));
    const copyAfterChange = async (guarded: boolean) => {
      const home = path.join(dir.path, String(guarded));
      await using tier = openIn(home, 1_000_000, guarded);
      const view = tier.view('main', store);
      await view.placeFile(place(path.join(home, 'before'), large), never);
      const blobs = fs.readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(large));
      fs.writeFileSync(path.join(home, blobs[0] ?? ''), 'forged by '.repeat(10_000));
      await view.placeFile(place(path.join(home, 'after'), large), never);
      return fs.readFileSync(path.join(home, 'after'), 'utf8').slice(0, 9);
    };
    expect(await copyAfterChange(false)).toBe('as it was');
    expect(await copyAfterChange(true)).toBe('forged by');
  });

  test('begins anew where steps could have written it before, or the host was started since', async () => {
    await using dir = await tempDir();
    const store = countingStore();
    const root = await putTree(store, ['a', 'b']);
    const use = async (guarded: boolean) => {
      store.reads.clear();
      await using tier = openIn(dir.path, 1_000_000, guarded);
      using tree = await tier.view('main', store).tree(root, 'deps', never);
      expect(fs.readdirSync(tree.path)).toEqual(['a', 'b']);
      return store.reads.size > 0 ? 'anew' : 'taken over';
    };
    const opened = path.join(dir.path, 'tier/opened.json');
    expect([await use(true), await use(true), await use(false), await use(true)]).toEqual(['anew', 'taken over', 'taken over', 'anew']);
    fs.writeFileSync(opened, fs.readFileSync(opened, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"another"'));
    expect([await use(false), await use(false)]).toEqual(['taken over', 'taken over']);
    fs.writeFileSync(opened, fs.readFileSync(opened, 'utf8').replace(/"boot":"[^"]*","guarded":false/, '"boot":"another","guarded":true'));
    expect([await use(true), await use(true)]).toEqual(['anew', 'taken over']);
    fs.writeFileSync(opened, '{"boot":');
    expect(await use(true)).toBe('anew');
    expect(fs.readdirSync(path.join(dir.path, 'tier')).filter((name) => name.startsWith('scopes.'))).toEqual([]);
  });

  test('keeps within its size, whatever comes', async () => {
    await using dir = await tempDir();
    const store = countingStore();
    {
      await using tier = openIn(dir.path, 1000);
      const view = tier.view('main', store);
      for (let index = 0; index < 30; index += 1) {
        await view.placeFile(place(path.join(dir.path, String(index)), await put(store, String(index).padStart(100, '.'))), never);
        expect(tier.usedBytes).toBeLessThanOrEqual(1000);
      }
    }
    const kept = fs.readdirSync(path.join(dir.path, 'tier'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('-100'));
    expect(kept).toHaveLength(10);
  });

  test('makes a tree once, keeps it while it is leased, and evicts it after', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path, 200);
    const store = countingStore();
    const root = await putTree(store, ['deep/er/file', 'run!', 'top']);
    const view = tier.view('main', store);
    const [first, second] = await Promise.all([view.tree(root, 'deps', never), view.tree(root, 'deps', never)]);
    expect(second.path).toBe(first.path);
    expect(fs.readFileSync(path.join(first.path, 'deep/er/file'), 'utf8')).toBe('contents of deep/er/file');
    expect(fs.statSync(path.join(first.path, 'run!')).mode & 0o777).toBe(0o755);
    expect(Math.max(...store.reads.values())).toBe(1);
    first[Symbol.dispose]();
    await view.placeFile(place(path.join(dir.path, 'big'), await put(store, 'x'.repeat(190))), never);
    expect(fs.existsSync(path.join(second.path, 'top'))).toBe(true);
    second[Symbol.dispose]();
    await view.placeFile(place(path.join(dir.path, 'big2'), await put(store, 'y'.repeat(190))), never);
    expect(fs.existsSync(second.path)).toBe(false);
  });

  test('a tree that cannot be made leaves nothing, and can be made later', async () => {
    await using dir = await tempDir();
    await using tier = openIn(dir.path);
    const store = countingStore();
    const root = await putTree(store, ['a', 'b']);
    const lacking = memoryStore();
    const view = tier.view('main', lacking);
    await expect(view.tree(root, 'deps', never)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    expect(fs.readdirSync(path.join(dir.path, 'tier/incoming'))).toEqual([]);
    using tree = await tier.view('main', store).tree(root, 'deps', never);
    expect(fs.readdirSync(tree.path)).toEqual(['a', 'b']);
  });

  test('takes over what is there when it is opened again, and removes what was left half done', async () => {
    await using dir = await tempDir();
    const store = countingStore();
    const root = await putTree(store, ['a', 'b']);
    const single = await put(store, 'single');
    let used = 0;
    {
      await using tier = openIn(dir.path);
      const view = tier.view('main', store);
      (await view.tree(root, 'deps', never))[Symbol.dispose]();
      await view.placeFile(place(path.join(dir.path, 'x'), single), never);
      used = tier.usedBytes;
    }
    for (const half of ['incoming/half', 'trash/half']) fs.mkdirSync(path.join(dir.path, 'tier', half, 'deep'), { recursive: true });
    store.reads.clear();
    {
      await using tier = openIn(dir.path);
      expect(tier.usedBytes).toBe(used);
      const view = tier.view('main', store);
      using tree = await view.tree(root, 'deps', never);
      expect(fs.readdirSync(tree.path)).toEqual(['a', 'b']);
      await view.placeFile(place(path.join(dir.path, 'y'), single), never);
      expect([...store.reads]).toEqual([]);
    }
    expect(fs.readdirSync(path.join(dir.path, 'tier')).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'incoming',
      'opened.json',
      'scopes',
      'trash',
    ]);
    expect(fs.readdirSync(path.join(dir.path, 'tier/incoming'))).toEqual([]);
    await using smaller = openIn(dir.path, 10);
    expect(smaller.usedBytes).toBeLessThanOrEqual(10);
  });
});
