import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../base/fault.ts';

/** Version of the tables, in the file's `user_version`. */
export const SCHEMA_VERSION = 1;

/**
 * `records.class` is an index into `ROW_CLASSES`. Tables of short rows hold them in the key's own tree; those of long
 * rows keep a tree of keys beside.
 */
const TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE records (class INTEGER NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (class, key));
  CREATE TABLE events (build TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (build, seq)) WITHOUT ROWID;
  CREATE TABLE logs (token TEXT PRIMARY KEY, build TEXT NOT NULL, digest TEXT, truncated INTEGER) WITHOUT ROWID;
  CREATE INDEX logs_by_build ON logs (build);
  CREATE TABLE log_segments (token TEXT NOT NULL, offset INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (token, offset)) WITHOUT ROWID;
  CREATE TABLE log_chunks (token TEXT NOT NULL, offset INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (token, offset));
`;

/**
 * Takes the file for this connection alone and brings its tables to `SCHEMA_VERSION`.
 * @throws {Fault} WRONG_STATE where a newer version wrote the file; SQLite's own errors otherwise.
 */
export function prepareFile(db: DatabaseSync, path: string, synchronous: 'FULL' | 'NORMAL'): void {
  // Exclusive before the first access: then the write-ahead log needs no shared memory, and the lock is kept until the
  // process ends, however it ends.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(`PRAGMA synchronous = ${synchronous}`);
  db.exec('PRAGMA journal_size_limit = 67108864');
  db.exec('BEGIN IMMEDIATE');
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > SCHEMA_VERSION) {
      throw new Fault(
        'WRONG_STATE',
        `The ledger ${path} was written by a newer Switchyard (schema ${version}, this one knows ${SCHEMA_VERSION})`,
        { hint: 'Start the newer version again, or give another path.' },
      );
    }
    if (version === 0) {
      db.exec(TABLES);
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
