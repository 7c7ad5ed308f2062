import { copyFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { isBusy, sqliteFault } from './sqlite-fault.ts';
import { SqliteFile, type SqliteKind } from './sqlite-file.ts';

const KIND: SqliteKind = {
  noun: 'register',
  code: 'STORE_UNAVAILABLE',
  meanings: { 5: { what: 'is held', hint: 'Wait.' }, 26: { what: 'is no register', hint: 'Give the path of one.' } },
  version: 2,
  tables: 'CREATE TABLE things (name TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;',
  newerHint: 'Take the newer one.',
};

const openAt = (path: string, kind = KIND, lockWaitMs = 0) => new SqliteFile({ kind, path, lockWaitMs, pragmas: ['journal_mode = WAL'] });

/** What `body` throws, as a fault of the kind. */
function faultOf(body: () => unknown): ReturnType<typeof sqliteFault> {
  try {
    body();
  } catch (error) {
    return sqliteFault(error, KIND, '/r');
  }
  return expect.unreachable('it should have thrown');
}

it('is readable for its owner only, and has its tables and texts again when it is opened again', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'r');
  const file = openAt(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(file.run('INSERT INTO things VALUES (?, ?), (?, ?)', 'a', 1, 'b', 2)).toBe(2);
  file.setMeta('name', 'first');
  file.setMeta('name', 'second');
  file.close();
  const again = openAt(path);
  expect(again.all('SELECT * FROM things ORDER BY name')).toEqual([
    { name: 'a', size: 1 },
    { name: 'b', size: 2 },
  ]);
  expect(again.one('SELECT size FROM things WHERE name = ?', 'c')).toBeUndefined();
  expect([again.meta('name'), again.meta('other')]).toEqual(['second', undefined]);
  again.close();
});

it('keeps nothing of a transaction that throws', async () => {
  await using dir = await tempDir();
  const file = openAt(join(dir.path, 'r'));
  const add = (name: string) => file.run('INSERT INTO things VALUES (?, 1)', name);
  expect(() =>
    file.transaction(() => {
      add('a');
      add('a');
    }),
  ).toThrow(/UNIQUE/);
  expect(file.transaction(() => add('b'))).toBe(1);
  expect(file.all('SELECT name FROM things')).toEqual([{ name: 'b' }]);
  file.close();
});

it('refuses a file that a newer version wrote, and one that cannot be made', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'r');
  openAt(path, { ...KIND, version: 3 }).close();
  const newer = faultOf(() => openAt(path));
  expect(newer).toMatchObject({
    code: 'WRONG_STATE',
    message: expect.stringMatching(/register .*schema 3.*knows 2/),
    hint: KIND.newerHint,
  });
  const missing = faultOf(() => openAt(join(dir.path, 'missing', 'r')));
  expect(missing).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('cannot be created') });
});

it('is of another origin where another file took its place', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'r');
  const file = openAt(path);
  const origin = file.origin();
  expect(file.origin()).toEqual(origin);
  await copyFile(path, `${path}.copy`);
  await rename(`${path}.copy`, path);
  expect(file.origin()).toEqual({ boot: origin.boot, inode: expect.not.stringMatching(`^${origin.inode}$`) });
  file.close();
});

it("says in the kind's words, else in common ones, what SQLite's errors mean", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'r');
  const [file, other] = [openAt(path), openAt(path)];
  const held = file.transaction(() => {
    try {
      return other.run("INSERT INTO things VALUES ('a', 1)");
    } catch (error) {
      return error;
    }
  });
  expect(isBusy(held)).toBe(true);
  expect(sqliteFault(held, KIND, '/r')).toMatchObject({ code: 'STORE_UNAVAILABLE', message: 'The register /r is held', hint: 'Wait.' });
  other.one('PRAGMA query_only = 1');
  const readOnly = faultOf(() => other.run("INSERT INTO things VALUES ('a', 1)"));
  expect(readOnly).toMatchObject({ code: 'STORE_UNAVAILABLE', message: 'The register /r is read-only' });
  const unnamed = faultOf(() => file.run('NO SUCH STATEMENT'));
  expect(unnamed).toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/cannot be used \(.*syntax error.*SQLite 1\)/),
  });
  expect(unnamed.hint).toBeUndefined();
  expect(isBusy(unnamed.cause)).toBe(false);
  file.close();
  other.close();
});

it('passes faults on, and takes what is not of SQLite for a bug of ours', () => {
  const own = faultOf(() => openAt('/proc/no-such-directory/r'));
  expect(sqliteFault(own, KIND, '/r')).toBe(own);
  expect(sqliteFault(new TypeError('x'), KIND, '/r')).toMatchObject({ code: 'INTERNAL', message: 'The register /r failed: x' });
  expect(sqliteFault('x', KIND, '/r')).toMatchObject({ code: 'INTERNAL', message: 'The register /r failed: x' });
});
