import { DatabaseSync } from 'node:sqlite';
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { storeIndexContract } from '../../../test/contract/store-index.ts';
import { sameAsMemory } from '../../../test/contract/store-index/differential.ts';
import { makeReady } from '../../../test/contract/store-index/used.ts';
import { blob, handClock, holdOf, keyOf, newEntry, newPack, packName } from '../../../test/fixtures/store-index.ts';
import { tempDir, type TempDir } from '../../../test/fixtures/temp-dir.ts';
import { openSqliteStoreIndex } from './sqlite.ts';

const signal = new AbortController().signal;
let dir: TempDir;
let files = 0;
beforeAll(async () => {
  dir = await tempDir();
});
afterAll(() => dir[Symbol.asyncDispose]());

const newPath = () => join(dir.path, `index-${(files += 1)}`);

function openAt(path: string, clock: Pick<Clock, 'now'> = handClock()) {
  return openSqliteStoreIndex({ path, env: { log: silentLogger, clock: { ...systemClock, now: () => clock.now() } } });
}

storeIndexContract({ name: 'sqlite', open: (clock) => openAt(newPath(), clock) });

test('says what the one in memory says, in random histories', () => sameAsMemory((clock) => openAt(newPath(), clock), 25, 1));

test('several that have the file open are one index', async () => {
  const path = newPath();
  await using first = await openAt(path);
  await using second = await openAt(path);
  const epoch = await makeReady(first);
  expect(await second.epoch(signal)).toEqual({ epoch, open: true, complete: true });
  await first.addPack(newPack(packName(1), [blob(1)]), holdOf('h', epoch), signal);
  const entry = newEntry(keyOf('k'), [packName(1)]);
  expect(await second.prepare(entry, holdOf('h', epoch), signal)).toEqual({ kind: 'prepared' });
  await first.publish({ ...entry.at, object: entry.object }, signal);
  expect(await second.entry('action', 'apple', ['main'], 'k', signal)).toMatchObject({ object: entry.object });
  const many = Array.from({ length: 40 }, (_, n) => n);
  await Promise.all(many.map((n) => (n % 2 === 0 ? first : second).addPack(newPack(packName(10 + n), [blob(n)]), undefined, signal)));
  expect(await first.packs({}, undefined, 100, signal)).toHaveLength(41);
});

test('knows everything again when it is opened again, in the same epoch', async () => {
  const path = newPath();
  let epoch: string;
  {
    await using index = await openAt(path);
    epoch = await makeReady(index);
    await index.addPack(newPack(packName(1), [blob(1)]), undefined, signal);
  }
  await using again = await openAt(path);
  expect(await again.epoch(signal)).toEqual({ epoch, open: true, complete: true });
  expect((await again.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(1);
});

test('begins a new epoch, closed, where the host was started anew or the file is a copy', async () => {
  const path = newPath();
  const epochs = new Set<string>();
  for (const change of [
    async () => {},
    async () => {
      const db = new DatabaseSync(path);
      db.exec("UPDATE meta SET value = 'another start' WHERE key = 'boot'");
      db.close();
    },
    async () => {
      await copyFile(path, `${path}.copy`);
      await rename(`${path}.copy`, path);
    },
  ]) {
    await change();
    await using index = await openAt(path);
    const { epoch, open } = await index.epoch(signal);
    expect(open).toBe(false);
    epochs.add(epoch);
    await makeReady(index);
  }
  expect(epochs.size).toBe(3);
});

test('a file that is no index is named as such', async () => {
  const path = newPath();
  await writeFile(path, 'this is no database, and long enough to show it'.repeat(100));
  await expect(openAt(path)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('is no index') });
  await expect(openAt(join(dir.path, 'no-such-directory/index'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
