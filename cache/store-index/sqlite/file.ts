import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Fault } from '../../../base/fault.ts';

/** Version of the tables, in the file's `user_version`. */
const SCHEMA_VERSION = 1;

/** How long a call waits for another process of the host that writes. */
const LOCK_WAIT_MS = 5_000;

/**
 * `packs.id` is never given twice: rows of a pack that is gone keep its number until they are swept, and must not fall to
 * another. `state` is an index into `STATES`. Keys of entries are bytes, so that they sort and hold anything.
 */
const TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
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

export type Row = Readonly<Record<string, unknown>>;

/** The file of an index: its tables, transactions and statements, each made once. Synchronous, for a thread of its own. */
export class IndexFile {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {Fault} WRONG_STATE where a newer version wrote it; SQLite's own errors otherwise. */
  constructor(path: string) {
    createPrivately(path);
    this.#db = new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
    try {
      this.#db.exec('PRAGMA journal_mode = WAL');
      // A loss of power may take the newest commits: the epoch changes with the host's start, and the rest is read from the store.
      this.#db.exec('PRAGMA synchronous = NORMAL');
      this.#db.exec('PRAGMA journal_size_limit = 67108864');
      this.#db.exec('PRAGMA cache_size = -65536');
      this.transaction(() => this.#prepare(path));
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  transaction<T>(body: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const value = body();
      this.#db.exec('COMMIT');
      return value;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (disk full, I/O); then there is nothing to roll back.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  /** Runs a statement; how many rows it changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#statement(sql).all(...values);
  }

  one(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  meta(key: string): string | undefined {
    const value = this.one('SELECT value FROM meta WHERE key = ?', key)?.['value'];
    return typeof value === 'string' ? value : undefined;
  }

  setMeta(key: string, value: string): void {
    this.run('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
  }

  close(): void {
    this.#db.close();
  }

  #statement(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** Makes the tables, and begins a new epoch where the file may have lost commits: another start of the host, or another file. */
  #prepare(path: string): void {
    const version = Number(this.one('PRAGMA user_version')?.['user_version']);
    if (version > SCHEMA_VERSION) {
      throw new Fault(
        'WRONG_STATE',
        `The index ${path} was written by a newer Switchyard (schema ${version}, this one knows ${SCHEMA_VERSION})`,
        { hint: 'Start the newer version again, or remove the file: it is made anew from the store.' },
      );
    }
    if (version === 0) {
      this.#db.exec(TABLES);
      this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    }
    const [boot, inode] = [hostBootId(), String(statSync(path, { bigint: true }).ino)];
    if (this.meta('epoch') !== undefined && this.meta('boot') === boot && this.meta('inode') === inode) return;
    this.setMeta('epoch', randomBytes(16).toString('hex'));
    this.setMeta('phase', 'closed');
    this.setMeta('boot', boot);
    this.setMeta('inode', inode);
    this.run('DELETE FROM holds');
    this.run('DELETE FROM hold_packs');
    this.run('DELETE FROM claims');
  }
}

/** Makes a new file readable for its owner only. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
      throw new Fault('STORE_UNAVAILABLE', `The index ${path} cannot be created`, {
        hint: 'Check that the directory exists and may be written.',
        cause: error,
      });
    }
  }
}

/** Changes when the machine starts anew. Where the system does not tell, every opening counts as one. */
function hostBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomBytes(16).toString('hex');
  }
}
