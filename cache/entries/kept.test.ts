import fs from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { exchangeableKeyring, freshKeyring } from '../../base/signing.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { LruDir } from '../lru-dir.ts';
import { partitionOf } from '../owner.ts';
import { diskEntryStore, nameOf } from './disk.ts';
import { NO_PROVENANCE, type Entry } from './entry-store.ts';
import { KeptEntries } from './kept.ts';
import { RecordCodec } from './reader.ts';

const signal = new AbortController().signal;
const owner = { project: 'web', scope: 'main' };
const PARTITION = partitionOf(owner);

/** Entries of two processes in one directory, on clocks that the test sets forward. */
async function openShared() {
  const dir = await tempDir();
  const time = { ms: 0 };
  const clock = { now: () => systemClock.now() + time.ms, monotonic: () => systemClock.monotonic() + time.ms };
  const env = { log: silentLogger, clock };
  const keys = exchangeableKeyring(freshKeyring());
  const files = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', env });
  const others = LruDir.open({ dir: dir.path, limitBytes: 2 ** 26, durability: 'process', env });
  const [store, other] = [diskEntryStore(files, keys, env), diskEntryStore(others, keys, env)];
  return {
    files,
    keys,
    store,
    other,
    fileOf: (key: string) => files.pathOf(PARTITION, nameOf('action', key)),
    /** What the first process gives out under that key. */
    async found(key: string): Promise<string | undefined> {
      const entry = await store.get('action', 'web', ['main'], key, signal);
      return entry === undefined ? undefined : Buffer.from(entry.value).toString();
    },
    pass: (ms: number) => void (time.ms += ms),
    async [Symbol.asyncDispose]() {
      await files[Symbol.asyncDispose]();
      await others[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function entryOf(key: string, value: string | Uint8Array): Entry {
  return { at: { kind: 'action', owner, key }, value: Buffer.from(value), parts: [], provenance: NO_PROVENANCE, writtenAt: 1 };
}

test('an entry that was read is given out without its file for half a minute, whatever somebody does to that by hand', async () => {
  await using shared = await openShared();
  await shared.store.put(entryOf('k', 'good'), { replace: false }, signal);
  expect(await shared.found('k')).toBe('good');
  fs.writeFileSync(shared.fileOf('k'), 'rubbish');
  shared.pass(29_000);
  expect(await shared.found('k')).toBe('good');
  shared.pass(2_000);
  expect(await shared.found('k')).toBeUndefined();
  expect(fs.existsSync(shared.fileOf('k'))).toBe(false);
});

test('what another process puts in its place is given out as soon as it is there, and nothing once that is dropped', async () => {
  await using shared = await openShared();
  await shared.store.put(entryOf('k', '0'), { replace: false }, signal);
  for (let times = 1; times < 5; times += 1) {
    expect(await shared.found('k')).toBe(String(times - 1));
    await shared.other.put(entryOf('k', String(times)), { replace: true }, signal);
    expect(await shared.found('k')).toBe(String(times));
  }
  await shared.other.drop(entryOf('k', '').at, signal);
  expect(await shared.found('k')).toBeUndefined();
  await shared.other.put(entryOf('k', 'again'), { replace: false }, signal);
  expect(await shared.found('k')).toBe('again');
});

test('what was read while another process was at the replacement does not outlive it', async () => {
  await using shared = await openShared();
  await shared.store.put(entryOf('k', 'old'), { replace: false }, signal);
  expect(await shared.found('k')).toBe('old');
  const rename = fs.renameSync;
  const seen: Promise<string | undefined>[] = [];
  fs.renameSync = (...args) => {
    seen.push(shared.found('k'));
    rename(...args);
  };
  try {
    await shared.other.put(entryOf('k', 'new'), { replace: true }, signal);
  } finally {
    fs.renameSync = rename;
  }
  expect(await Promise.all(seen)).toEqual(['old']);
  expect(await shared.found('k')).toBe('new');
});

test('an entry is not given out any more once the key that signed it is taken away', async () => {
  await using shared = await openShared();
  await shared.store.put(entryOf('k', 'good'), { replace: false }, signal);
  expect(await shared.found('k')).toBe('good');
  shared.keys.exchange(freshKeyring());
  expect(await shared.found('k')).toBeUndefined();
});

test('what is kept is bounded in bytes, and what was asked for longest ago gives way', async () => {
  await using shared = await openShared();
  const codec = new RecordCodec(shared.keys, silentLogger);
  const kept = new KeptEntries(shared.files, codec, 100_000);
  const keys = ['a', 'b', 'c'];
  const keep = async (key: string, bytes: number) => {
    const entry = entryOf(key, Buffer.alloc(bytes));
    await shared.store.put(entry, { replace: false }, signal);
    shared.files.catchUp();
    shared.files.use(PARTITION, nameOf('action', key));
    kept.keep(PARTITION, nameOf('action', key), { entry, keyId: shared.keys.keyId });
  };
  const held = () => keys.filter((key) => kept.find(PARTITION, entryOf(key, '').at) !== undefined);
  for (const key of keys) await keep(key, 30_000);
  expect(held()).toEqual(keys);
  for (const key of ['c', 'a']) expect(kept.find(PARTITION, entryOf(key, '').at)).toBeDefined();
  await keep('d', 30_000);
  expect(held()).toEqual(['a', 'c']);
  await keep('larger than all', 101_000);
  expect(held()).toEqual([]);
});
