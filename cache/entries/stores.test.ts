import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { freshKeyring } from '../../base/signing.ts';
import { entryOf, entryStoreContract, nameOf as at, plain } from '../../test/contract/entry-store.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { LruDir } from '../lru-dir.ts';
import { groupsOf, partitionOf } from '../owner.ts';
import { diskEntryStore, nameOf } from './disk.ts';
import { memoryEntryStore } from './memory.ts';
import type { EntryKey } from '../store-index/store-index.ts';

const env = { log: silentLogger, clock: systemClock };
const { signal } = new AbortController();
const keys = freshKeyring();

entryStoreContract({
  name: 'memory',
  signed: false,
  open: async () => ({ store: memoryEntryStore(), [Symbol.asyncDispose]: async () => {} }),
});

entryStoreContract({
  name: 'disk',
  signed: true,
  async open() {
    const dir = await tempDir();
    const files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', groupsOf, env });
    const fileOf = ({ kind, owner, key }: ReturnType<typeof at>) => files.pathOf(partitionOf(owner), nameOf(kind, key));
    return {
      store: diskEntryStore(files, keys, env),
      damage: async (from, to, change) => {
        const changed = change(fs.readFileSync(fileOf(from)));
        fs.mkdirSync(path.dirname(fileOf(to)), { recursive: true });
        fs.writeFileSync(fileOf(to), changed);
        files.replaced(nameOf(to.kind, to.key)); // as another process that shares the directory does
      },
      holds: async (name) => fs.existsSync(fileOf(name)),
      async [Symbol.asyncDispose]() {
        await files[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  },
});

test('stores of two processes on one directory see each other’s entries, and one of them is the first', async () => {
  await using dir = await tempDir();
  const open = () => LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', groupsOf, env });
  await using here = open();
  await using there = open();
  const [mine, theirs] = [diskEntryStore(here, keys, env), diskEntryStore(there, keys, env)];
  await mine.put(entryOf(at('npm-1')), { replace: false }, signal);
  expect((await theirs.newest('dependency', 'web', ['main'], 'npm-', signal))?.at.key).toBe('npm-1');
  await theirs.put(entryOf(at('npm-2')), { replace: false }, signal);
  expect((await mine.newest('dependency', 'web', ['main'], 'npm-', signal))?.at.key).toBe('npm-2');
  const puts = await Promise.all(
    [mine, theirs].flatMap((store, one) =>
      Array.from({ length: 5 }, (_, index) => store.put(entryOf(at('k'), `root ${one} ${index}`), { replace: false }, signal)),
    ),
  );
  expect(puts.filter(({ kind }) => kind === 'kept')).toHaveLength(1);
  expect(new Set(puts.map(({ entry }) => Buffer.from(entry.value).toString())).size).toBe(1);
});

test('a list that goes on page by page reads the directory once, and has what is there by then', async () => {
  await using dir = await tempDir();
  await using files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', groupsOf, env });
  const store = diskEntryStore(files, keys, env);
  for (let index = 0; index < 30; index += 1)
    await store.put(entryOf(at(`k-${10 + index}`, index < 15 ? 'main' : 'zz')), { replace: false }, signal);
  let reads = 0;
  const listAll = files.listAll.bind(files);
  files.listAll = (partition) => {
    reads += 1;
    return listAll(partition);
  };
  const found: string[] = [];
  for (let after: EntryKey | undefined; ;) {
    const page = await store.list('web', {}, after, 4, signal);
    found.push(...page.map((entry) => entry.at.key));
    if (after === undefined) await store.drop(at('k-20'), signal);
    after = page.at(-1)?.at;
    if (after === undefined) break;
  }
  expect(found).toEqual(Array.from({ length: 30 }, (_, index) => `k-${10 + index}`).filter((key) => key !== 'k-20'));
  expect(reads).toBeLessThanOrEqual(4); // 2 scopes: some pages end just between them, and the last one asks again
});

test('a writer of the directory who has no key, or a key of their own, makes no entry that a reader accepts', async () => {
  await using dir = await tempDir();
  const log = memoryLogger();
  await using files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', groupsOf, env });
  const theirs = diskEntryStore(files, freshKeyring(), env);
  await theirs.put(entryOf(at('k'), 'poison'), { replace: false }, signal);
  const store = diskEntryStore(files, keys, { log, clock: systemClock });
  for (let round = 0; round < 2; round += 1) {
    expect(await store.get('dependency', 'web', ['main'], 'k', signal)).toBeUndefined();
    expect(await store.newest('dependency', 'web', ['main'], 'k', signal)).toBeUndefined();
  }
  expect(log.entries.map(({ event }) => event)).toEqual(['entry-key-unknown']);
});

test('quotas bound entries of one owner, which loses its least recently used; others lose nothing', async () => {
  await using dir = await tempDir();
  const evicted: string[] = [];
  await using files = LruDir.open({
    dir: dir.path,
    limitBytes: 2 ** 20,
    durability: 'process',
    groupsOf,
    limitOf: (partition) => (partition === 'web~main~pr-7' ? { bytes: 2 ** 20, fileCount: 5 } : undefined),
    onEvicted: (partition) => void evicted.push(partition),
    env,
  });
  const store = diskEntryStore(files, keys, env);
  const good = entryOf(at('npm-good'));
  await store.put(good, { replace: false }, signal);
  for (let index = 0; index < 5; index += 1) await store.put(entryOf(at(`flood-${index}`, 'main/pr-7')), { replace: false }, signal);
  await store.get('dependency', 'web', ['main/pr-7'], 'flood-0', signal);
  for (let index = 5; index < 8; index += 1) await store.put(entryOf(at(`flood-${index}`, 'main/pr-7')), { replace: false }, signal);
  const left = await store.list('web', { scope: 'main/pr-7' }, undefined, 100, signal);
  expect(left.map((entry) => entry.at.key)).toEqual(['flood-0', 'flood-4', 'flood-5', 'flood-6', 'flood-7']);
  expect(plain(await store.get('dependency', 'web', ['main'], 'npm-good', signal))).toEqual(good);
  expect(evicted).toEqual(Array.from({ length: 3 }, () => 'web~main~pr-7'));
  expect(files.usageOf('web~main~pr-7').fileCount).toBe(5);
});

test('what nobody has used since a time goes, and what was used stays', async () => {
  await using dir = await tempDir();
  let nowMs = systemClock.now();
  const clock = { now: () => nowMs, monotonic: () => systemClock.monotonic() };
  await using files = LruDir.open({
    dir: dir.path,
    limitBytes: 2 ** 20,
    durability: 'process',
    groupsOf,
    env: { log: silentLogger, clock },
  });
  const store = diskEntryStore(files, keys, env);
  for (const key of ['old', 'used']) await store.put(entryOf(at(key)), { replace: false }, signal);
  nowMs = systemClock.now() + 3_600_000; // the disk's own clock wrote the times of the files
  await store.get('dependency', 'web', ['main'], 'used', signal);
  expect(await files.evictUnused(nowMs - 60_000)).toBe(1);
  expect((await store.list('web', {}, undefined, 10, signal)).map((entry) => entry.at.key)).toEqual(['used']);
});

test('a full memory store forgets what was used least', async () => {
  const store = memoryEntryStore({ entriesMax: 2 });
  for (const key of ['a', 'b']) await store.put(entryOf(at(key)), { replace: false }, signal);
  await store.get('dependency', 'web', ['main'], 'a', signal);
  await store.put(entryOf(at('c')), { replace: false }, signal);
  expect((await store.list('web', {}, undefined, 10, signal)).map((entry) => entry.at.key)).toEqual(['a', 'c']);
});
