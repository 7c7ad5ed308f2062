import { SqliteFile, type SqliteKind } from '../../base/sqlite-file.ts';
import type { IdentityLog, IdentityRow, IdentityTable } from './store.ts';

export const IDENTITY_FILE: SqliteKind = {
  noun: 'identity ledger',
  code: 'LEDGER_UNAVAILABLE',
  meanings: {
    5: { what: 'is locked by another process', hint: 'Stop the other process, or give this one a state directory of its own.' },
    11: { what: 'is damaged', hint: 'Restore it from a copy. An empty one knows no enrolment tokens and refuses nobody that was revoked.' },
    13: { what: 'cannot grow: the disk is full', hint: 'Make room on the disk.' },
    26: { what: 'is not one of ours', hint: 'Move it away.' },
  },
  version: 1,
  tables: `
    CREATE TABLE rows (name TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
    CREATE TABLE acts (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
    CREATE TABLE refusals (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
  `,
  newerHint: 'Start the newer version again.',
};

/** The tables in their file. What a call has changed survives the loss of power. Synchronous, for a thread of its own. */
export class IdentityTables {
  readonly #file: SqliteFile;

  constructor(path: string) {
    const pragmas = ['journal_mode = WAL', 'synchronous = FULL'];
    this.#file = new SqliteFile({ kind: IDENTITY_FILE, path, lockWaitMs: 5_000, pragmas });
  }

  add(table: IdentityTable, key: string, body: string): boolean {
    return this.#change(table, 'INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO NOTHING', key, body);
  }

  put(table: IdentityTable, key: string, body: string): boolean {
    return this.#change(table, 'INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body', key, body);
  }

  get(table: IdentityTable, key: string): string | undefined {
    const row = this.#file.one('SELECT body FROM rows WHERE name = ? AND key = ?', table, key);
    return row === undefined ? undefined : String(row['body']);
  }

  remove(table: IdentityTable, key: string): boolean {
    return this.#change(table, 'DELETE FROM rows WHERE name = ? AND key = ?', key);
  }

  all(table: IdentityTable): readonly (readonly [string, string])[] {
    const rows = this.#file.all('SELECT key, body FROM rows WHERE name = ? ORDER BY key', table);
    return rows.map((row) => [String(row['key']), String(row['body'])]);
  }

  version(table: IdentityTable): number {
    return Number(this.#file.meta(`version ${table}`) ?? 0);
  }

  append(log: IdentityLog, bodies: readonly string[], keep: number): void {
    this.#file.transaction(() => {
      for (const body of bodies) this.#file.run(`INSERT INTO ${log} (body) VALUES (?)`, body);
      this.#file.run(`DELETE FROM ${log} WHERE id <= (SELECT max(id) FROM ${log}) - ?`, keep);
    });
  }

  newest(log: IdentityLog, limit: number, before: string | undefined): readonly IdentityRow[] {
    const end = before === undefined ? Number.MAX_SAFE_INTEGER : Number(before);
    const rows = this.#file.all(`SELECT id, body FROM ${log} WHERE id < ? ORDER BY id DESC LIMIT ?`, end, limit);
    return rows.map((row) => ({ id: String(row['id']), body: String(row['body']) }));
  }

  close(): void {
    this.#file.close();
  }

  #change(table: IdentityTable, sql: string, ...values: readonly string[]): boolean {
    return this.#file.transaction(() => {
      const changed = this.#file.run(sql, table, ...values) > 0;
      if (changed) this.#file.setMeta(`version ${table}`, String(this.version(table) + 1));
      return changed;
    });
  }
}
