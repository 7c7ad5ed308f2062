import type { SqliteFile, SqliteRow } from '../../../base/sqlite-file.ts';
import type { EntryKey, EntryKind, EntryRow, EntryRowFilter, NewEntry, PackName, Prepared } from '../store-index.ts';
import { USE_GRAIN_MS } from '../store-index.ts';
import { entryText } from '../order.ts';
import { notPending } from '../refusals.ts';
import { bytesOf, type SqlitePacks } from './packs.ts';

const NAME_BYTES = 16;
const NAMED = 'project = ? AND scope = ? AND kind = ? AND key = ?';

type Named = EntryKey & { readonly object: string };

/** Entries of an index in a file. Every method is called within a transaction. */
export class SqliteEntries {
  readonly #file: SqliteFile;
  readonly #packs: SqlitePacks;

  constructor(file: SqliteFile, packs: SqlitePacks) {
    this.#file = file;
    this.#packs = packs;
  }

  prepare(entry: NewEntry, now: number): Prepared {
    const { published, pending } = this.#named(entry.at);
    if (pending?.object === entry.object) return { kind: 'prepared' };
    const taken = published ?? pending;
    if (taken !== undefined && !entry.replace) return { kind: 'exists', entry: taken };
    const gone = this.#packs.gone(entry.packs);
    if (gone.length > 0) return { kind: 'packs-gone', packs: gone };
    if (pending !== undefined) this.#remove(pending);
    this.#packs.refer(entry.packs, 1);
    this.#insert(entry, 1, now);
    return { kind: 'prepared' };
  }

  publish(entry: Named): EntryRow | undefined {
    const { published, pending } = this.#named(entry);
    if (published?.object === entry.object) return undefined;
    if (pending?.object !== entry.object) throw notPending(entry.object);
    if (published !== undefined) this.#remove(published);
    this.#file.run(`UPDATE entries SET pending = 0 WHERE ${NAMED} AND pending = 1`, ...nameValues(entry));
    return published;
  }

  drop(entry: Named & { readonly onlyPending?: boolean }): boolean {
    const { published, pending } = this.#named(entry);
    const row = (entry.onlyPending === true ? [pending] : [published, pending]).find((candidate) => candidate?.object === entry.object);
    if (row !== undefined) this.#remove(row);
    return row !== undefined;
  }

  get(kind: EntryKind, project: string, scopes: readonly string[], key: string, now: number): EntryRow | undefined {
    for (const scope of scopes) {
      const { published } = this.#named({ kind, owner: { project, scope }, key });
      if (published !== undefined) return this.#use(published, now);
    }
    return undefined;
  }

  newest(kind: EntryKind, project: string, scopes: readonly string[], prefix: string, now: number): EntryRow | undefined {
    const begin = Buffer.from(prefix);
    const end = endOf(begin);
    for (const scope of scopes) {
      const row = this.#file.one(
        `SELECT * FROM entries WHERE project = ? AND scope = ? AND kind = ? AND pending = 0 AND key >= ? AND (? OR key < ?)
         ORDER BY created DESC, key DESC LIMIT 1`,
        project,
        scope,
        kind,
        begin,
        Number(end === undefined),
        end ?? begin,
      );
      if (row !== undefined) return this.#use(entryOf(row), now);
    }
    return undefined;
  }

  list(filter: EntryRowFilter, after: EntryKey | undefined, limit: number): readonly EntryRow[] {
    const conditions: string[] = [];
    const values: (string | number | Uint8Array)[] = [];
    const narrow = (condition: string, ...of: readonly (string | number | Uint8Array)[]) => {
      conditions.push(condition);
      values.push(...of);
    };
    if (after !== undefined) narrow('(project, scope, kind, key) > (?, ?, ?, ?)', ...nameValues(after));
    if (filter.project !== undefined) narrow('project = ?', filter.project);
    if (filter.scope !== undefined) narrow('scope = ?', filter.scope);
    if (filter.kind !== undefined) narrow('kind = ?', filter.kind);
    if (filter.producer !== undefined) narrow('producer = ?', filter.producer);
    if (filter.unusedSince !== undefined) narrow('used < ?', filter.unusedSince);
    if (filter.state !== undefined) narrow('pending = ?', Number(filter.state === 'pending'));
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    // A name has two rows at most.
    const sql = `SELECT * FROM entries ${where} ORDER BY project, scope, kind, key, pending LIMIT ?`;
    const found = this.#file.all(sql, ...values, 2 * limit).map(entryOf);
    let names = 0;
    const end = found.findIndex((row, index) => {
      const before = found[index - 1];
      if (before === undefined || entryText(before.at) !== entryText(row.at)) names += 1;
      return names > limit;
    });
    return end < 0 ? found : found.slice(0, end);
  }

  known(objects: readonly string[]): ReadonlySet<string> {
    const sql = 'SELECT DISTINCT e.object FROM json_each(?) j CROSS JOIN entries e ON e.object = j.value';
    return new Set(this.#file.all(sql, JSON.stringify(objects)).map((row) => String(row['object'])));
  }

  restore(entry: NewEntry, now: number): boolean {
    const { published, pending } = this.#named(entry.at);
    if (published?.object === entry.object) return true;
    if (pending?.object === entry.object) this.#remove(pending);
    if (published !== undefined && !entry.replace) return false;
    if (this.#packs.gone(entry.packs).length > 0) return false;
    this.#packs.refer(entry.packs, 1);
    if (published !== undefined) this.#remove(published);
    this.#insert(entry, 0, now);
    return true;
  }

  /** Drops all that need one of the packs. */
  dropNeeding(packs: readonly PackName[]): void {
    const gone = new Set(packs);
    for (const row of this.#file.all('SELECT * FROM entries')) {
      const entry = entryOf(row);
      if (entry.packs.some((pack) => gone.has(pack))) this.#remove(entry);
    }
  }

  #named(at: EntryKey): { readonly published: EntryRow | undefined; readonly pending: EntryRow | undefined } {
    const rows = this.#file.all(`SELECT * FROM entries WHERE ${NAMED}`, ...nameValues(at)).map(entryOf);
    return { published: rows.find(({ state }) => state === 'published'), pending: rows.find(({ state }) => state === 'pending') };
  }

  #insert(entry: NewEntry, pending: 0 | 1, now: number): void {
    const sql = `INSERT INTO entries
      (project, scope, kind, key, pending, object, record, packs, bytes, producer, replaces, created, used)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    const packs = Buffer.from(entry.packs.join(''), 'hex');
    const { object, record, bytes, producer, replace } = entry;
    this.#file.run(sql, ...nameValues(entry.at), pending, object, record, packs, bytes, producer, Number(replace), now, now);
  }

  #remove(row: EntryRow): void {
    this.#packs.refer(row.packs, -1);
    this.#file.run(`DELETE FROM entries WHERE ${NAMED} AND pending = ?`, ...nameValues(row.at), Number(row.state === 'pending'));
  }

  #use(row: EntryRow, now: number): EntryRow {
    if (now - row.usedAt < USE_GRAIN_MS) return row;
    this.#file.run(`UPDATE entries SET used = ? WHERE ${NAMED} AND pending = 0`, now, ...nameValues(row.at));
    return { ...row, usedAt: now };
  }
}

function nameValues({ owner, kind, key }: EntryKey): readonly [string, string, string, Uint8Array] {
  return [owner.project, owner.scope, kind, Buffer.from(key)];
}

/** The first bytes after all that begin with these; undefined where there are none. */
function endOf(prefix: Uint8Array): Uint8Array | undefined {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at -= 1) {
    const byte = end[at] ?? 0xff;
    if (byte === 0xff) continue;
    end[at] = byte + 1;
    return end.subarray(0, at + 1);
  }
  return undefined;
}

function entryOf(row: SqliteRow): EntryRow {
  const names = Buffer.from(bytesOf(row['packs'])).toString('hex');
  const packs: PackName[] = [];
  for (let at = 0; at < names.length; at += 2 * NAME_BYTES) packs.push(names.slice(at, at + 2 * NAME_BYTES) as PackName); // from ones
  return {
    at: {
      kind: kindOf(row['kind']),
      owner: { project: String(row['project']), scope: String(row['scope']) },
      key: Buffer.from(bytesOf(row['key'])).toString(),
    },
    object: String(row['object']),
    record: bytesOf(row['record']),
    packs,
    bytes: Number(row['bytes']),
    producer: String(row['producer']),
    replace: row['replaces'] === 1,
    state: row['pending'] === 1 ? 'pending' : 'published',
    createdAt: Number(row['created']),
    usedAt: Number(row['used']),
  };
}

function kindOf(value: unknown): EntryKind {
  return value === 'dependency' || value === 'layer' || value === 'tool' ? value : 'action';
}
