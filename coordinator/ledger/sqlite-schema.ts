import type { SqliteKind, SqliteMeaning } from '../../base/sqlite-file.ts';

/**
 * `records.class` is an index into `ROW_CLASSES`. Tables of short rows hold them in the key's own tree; those of long
 * rows keep a tree of keys beside.
 */
const TABLES = `
  CREATE TABLE records (class INTEGER NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (class, key));
  CREATE TABLE events (build TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (build, seq)) WITHOUT ROWID;
  CREATE TABLE logs (token TEXT PRIMARY KEY, build TEXT NOT NULL, digest TEXT, truncated INTEGER) WITHOUT ROWID;
  CREATE INDEX logs_by_build ON logs (build);
  CREATE TABLE log_segments (token TEXT NOT NULL, offset INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (token, offset)) WITHOUT ROWID;
  CREATE TABLE log_chunks (token TEXT NOT NULL, offset INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (token, offset));
`;

const HELD: SqliteMeaning = { what: 'is locked by another process', hint: 'Stop the other process, or give another path.' };

export const LEDGER_FILE: SqliteKind = {
  noun: 'ledger',
  code: 'LEDGER_UNAVAILABLE',
  meanings: {
    5: HELD,
    6: HELD,
    11: { what: 'is damaged', hint: 'Restore it from a copy, or start with an empty one.' },
    13: { what: 'cannot grow: the disk is full', hint: 'Make room on the disk and start again.' },
    26: { what: 'is not a ledger', hint: 'Give the path of a ledger, or of a file that does not exist.' },
  },
  version: 1,
  tables: TABLES,
  newerHint: 'Start the newer version again, or give another path.',
};
