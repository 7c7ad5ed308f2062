import { closeSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { hostBootId } from './boot-id.ts';
import { codeOf } from './thrown.ts';
import { Fault, type FaultCode } from './fault.ts';

/** What one of SQLite's primary result codes means for an operator. */
export type SqliteMeaning = { readonly what: string; readonly hint: string };

/** A kind of SQLite file of ours. */
export type SqliteKind = {
  /** As in "The ledger /path is read-only". */
  readonly noun: string;
  /** The fault of a file that cannot be used. */
  readonly code: FaultCode;
  /** What is to be said of this kind alone, by primary result code; `sqliteFault` knows the rest. */
  readonly meanings: Readonly<Record<number, SqliteMeaning>>;
  /** Version of the tables, in the file's `user_version`. */
  readonly version: number;
  /** Makes the tables; `meta`, of texts by key, is there already. */
  readonly tables: string;
  /** What to do about a file that a newer version wrote. */
  readonly newerHint: string;
};

export type SqliteFileOptions = {
  readonly kind: SqliteKind;
  /** The file; its directory must exist. */
  readonly path: string;
  /** How long a call waits for another process that has the file locked. */
  readonly lockWaitMs: number;
  /** Set in this order before the first access, as in `journal_mode = WAL`. */
  readonly pragmas: readonly string[];
};

export type SqliteRow = Readonly<Record<string, unknown>>;

const META = 'CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;';

/** A SQLite file of ours: its tables, transactions and statements, each made once. Synchronous, for a thread of its own. */
export class SqliteFile {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * Opens the file, readable for its owner only where it is new.
   * @throws {Fault} WRONG_STATE where a newer version wrote it, the kind's code where it cannot be made; SQLite's own errors otherwise.
   */
  constructor({ kind, path, lockWaitMs, pragmas }: SqliteFileOptions) {
    createPrivately(kind, path);
    this.#path = path;
    this.#db = new DatabaseSync(path, { timeout: lockWaitMs });
    try {
      for (const pragma of pragmas) this.#db.exec(`PRAGMA ${pragma}`);
      this.transaction(() => this.#makeTables(kind));
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

  all(sql: string, ...values: readonly SQLInputValue[]): readonly SqliteRow[] {
    return this.#statement(sql).all(...values);
  }

  one(sql: string, ...values: readonly SQLInputValue[]): SqliteRow | undefined {
    return this.#statement(sql).get(...values);
  }

  meta(key: string): string | undefined {
    const value = this.one('SELECT value FROM meta WHERE key = ?', key)?.['value'];
    return typeof value === 'string' ? value : undefined;
  }

  setMeta(key: string, value: string): void {
    this.run('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
  }

  /**
   * What differs where newer commits may be missing: the host's start, which a loss of power comes before, and which file it is, as another
   * at the same path may be an older copy.
   */
  origin(): { readonly boot: string; readonly inode: string } {
    return { boot: hostBootId(), inode: String(statSync(this.#path, { bigint: true }).ino) };
  }

  close(): void {
    this.#db.close();
  }

  #statement(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #makeTables({ noun, version, tables, newerHint }: SqliteKind): void {
    const found = Number(this.one('PRAGMA user_version')?.['user_version']);
    if (found > version) {
      const message = `The ${noun} ${this.#path} was written by a newer Switchyard (schema ${found}, this one knows ${version})`;
      throw new Fault('WRONG_STATE', message, { hint: newerHint });
    }
    if (found > 0) return;
    this.#db.exec(META + tables);
    this.#db.exec(`PRAGMA user_version = ${version}`);
  }
}

/** An existing file is not touched: closing it here would drop locks on it. */
function createPrivately({ noun, code }: SqliteKind, path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    const hint = 'Check that the directory exists and may be written.';
    throw new Fault(code, `The ${noun} ${path} cannot be created`, { hint, cause: error });
  }
}
