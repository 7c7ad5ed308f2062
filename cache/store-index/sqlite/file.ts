import { randomBytes } from 'node:crypto';
import { SqliteFile, type SqliteKind, type SqliteMeaning } from '../../../base/sqlite-file.ts';

/** How long a call waits for another process of the host that writes. */
const LOCK_WAIT_MS = 5_000;

const PRAGMAS = [
  'journal_mode = WAL',
  // A loss of power may take the newest commits: the epoch changes with the host's start, and the rest is read from the store.
  'synchronous = NORMAL',
  'journal_size_limit = 67108864',
  'cache_size = -65536',
];

/**
 * `packs.id` is never given twice: rows of a pack that is gone keep its number until they are swept, and must not fall to
 * another. `state` is an index into `STATES`. Keys of entries are bytes, so that they sort and hold anything.
 */
const TABLES = `
  CREATE TABLE owners (id INTEGER PRIMARY KEY, project TEXT NOT NULL, scope TEXT NOT NULL, UNIQUE (project, scope));
  CREATE TABLE packs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, owner INTEGER, size INTEGER NOT NULL, producer TEXT NOT NULL,
    state INTEGER NOT NULL, refs INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, used INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0, condemned INTEGER
  );
  CREATE TABLE frames (
    pack INTEGER NOT NULL, n INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT NULL, raw INTEGER NOT NULL,
    encoding TEXT NOT NULL, PRIMARY KEY (pack, n)
  ) WITHOUT ROWID;
  CREATE TABLE rows (
    owner INTEGER NOT NULL, hash BLOB NOT NULL, size INTEGER NOT NULL, pack INTEGER NOT NULL, frame INTEGER NOT NULL,
    offset INTEGER NOT NULL, length INTEGER NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (owner, hash)
  ) WITHOUT ROWID;
  CREATE TABLE holds (id TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE hold_packs (hold TEXT NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (hold, pack)) WITHOUT ROWID;
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, scope TEXT NOT NULL, kind TEXT NOT NULL, key BLOB NOT NULL, pending INTEGER NOT NULL,
    object TEXT NOT NULL, record BLOB NOT NULL, packs BLOB NOT NULL, bytes INTEGER NOT NULL, producer TEXT NOT NULL,
    replaces INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL, UNIQUE (project, scope, kind, key, pending)
  );
  CREATE INDEX entries_by_object ON entries (object);
  CREATE TABLE claims (task TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
`;

const HELD: SqliteMeaning = {
  what: 'is being written by another process for too long',
  hint: 'Look for a process that holds it: a backup, or a copy under way.',
};

export const INDEX_FILE: SqliteKind = {
  noun: 'index',
  code: 'STORE_UNAVAILABLE',
  meanings: {
    5: HELD,
    6: HELD,
    11: { what: 'is damaged', hint: 'Stop, remove the file and start again: it is made anew from the store.' },
    13: { what: 'cannot grow: the disk is full', hint: 'Make room on the disk.' },
    26: { what: 'is no index', hint: 'Give the path of an index, or of a file that does not exist.' },
  },
  version: 1,
  tables: TABLES,
  newerHint: 'Start the newer version again, or remove the file: it is made anew from the store.',
};

/**
 * Opens the file of an index; a new epoch begins where it may have lost commits.
 * @throws {Fault} WRONG_STATE where a newer version wrote it; SQLite's own errors otherwise.
 */
export function openIndexFile(path: string): SqliteFile {
  const file = new SqliteFile({ kind: INDEX_FILE, path, lockWaitMs: LOCK_WAIT_MS, pragmas: PRAGMAS });
  try {
    file.transaction(() => checkEpoch(file));
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

function checkEpoch(file: SqliteFile): void {
  const { boot, inode } = file.origin();
  if (file.meta('epoch') !== undefined && file.meta('boot') === boot && file.meta('inode') === inode) return;
  file.setMeta('epoch', randomBytes(16).toString('hex'));
  file.setMeta('phase', 'closed');
  file.setMeta('boot', boot);
  file.setMeta('inode', inode);
  file.run('DELETE FROM holds');
  file.run('DELETE FROM hold_packs');
  file.run('DELETE FROM claims');
}
