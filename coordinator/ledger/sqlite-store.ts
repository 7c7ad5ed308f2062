import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { unreachable } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { parseDigest, sizeOf } from '../../cache/digest.ts';
import { ROW_CLASSES, type RowChange, type RowClass, type StoredRow } from './codec.ts';
import { Leadership } from './leadership.ts';
import type { Leader, StoredLog, Term } from './ledger.ts';
import { isBusy } from './sqlite-fault.ts';
import { prepareFile } from './sqlite-schema.ts';

export type SqliteStoreOptions = { readonly path: string; readonly synchronous: 'FULL' | 'NORMAL' };

/** How long opening waits for a process that is just going. */
const LOCK_WAIT_MS = 1_000;

const PUT_RECORD = 'INSERT INTO records (class, key, body) VALUES (?, ?, ?) ON CONFLICT (class, key) DO UPDATE SET body = excluded.body';
const PUT_EVENT = 'INSERT INTO events (build, seq, body) VALUES (?, ?, ?) ON CONFLICT (build, seq) DO UPDATE SET body = excluded.body';
const PUT_LOG = 'INSERT INTO logs (token, build) VALUES (?, ?) ON CONFLICT (token) DO NOTHING';
const PUT_CHUNK =
  'INSERT INTO log_chunks (token, offset, bytes) VALUES (?, ?, ?) ON CONFLICT (token, offset) DO UPDATE SET bytes = excluded.bytes';
const PUT_SEGMENT =
  'INSERT INTO log_segments (token, offset, digest) VALUES (?, ?, ?) ON CONFLICT (token, offset) DO UPDATE SET digest = excluded.digest';

/**
 * The SQLite file of a ledger, held exclusively: synchronous, for a thread of its own. Every public method is one call of
 * `openSqliteLedger`'s. A leadership that a file remembers is over once the file can be opened, because its holder is gone.
 */
export class SqliteStore {
  readonly #db: DatabaseSync;
  readonly #holderPath: string;
  readonly #leadership: Leadership;
  readonly #staged = new Map<number, RowChange[]>();
  readonly #statements = new Map<string, StatementSync>();

  constructor(options: SqliteStoreOptions) {
    this.#holderPath = `${options.path}.holder`;
    createPrivately(options.path);
    this.#db = new DatabaseSync(options.path, { timeout: LOCK_WAIT_MS });
    try {
      prepareFile(this.#db, options.path, options.synchronous);
    } catch (error) {
      this.#db.close();
      throw isBusy(error) ? this.#heldFault(options.path, error) : error;
    }
    writeFileSync(this.#holderPath, `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 });
    this.#leadership = this.#transaction(() => this.#openMeta(options));
  }

  lead(holder: Leader, ttlMs: number, nowMs: number): Term | undefined {
    if (!this.#leadership.isFree(holder, nowMs)) return undefined;
    // The counter is stored before the term exists: a term that could not be stored was never given.
    this.#transaction(() => {
      this.#setMeta('counter', String(this.#leadership.counter + 1));
      this.#dropOrphans();
    });
    return this.#leadership.take(holder, ttlMs, nowMs, randomBytes(16).toString('hex'));
  }

  /** Whether the term was current. */
  renew(term: Term, ttlMs: number, nowMs: number): boolean {
    return this.#leadership.renew(term, ttlMs, nowMs);
  }

  resign(term: Term): void {
    this.#leadership.resign(term);
  }

  /** Keeps changes for the commit with the id, ahead of the ones that come with it. */
  stage(id: number, changes: readonly RowChange[]): void {
    const staged = this.#staged.get(id) ?? [];
    this.#staged.set(id, staged);
    staged.push(...changes);
  }

  /** Whether the term was current: if so, everything is written, what was staged under the id included. */
  commit(term: Term, changes: readonly RowChange[], id: number): boolean {
    const staged = this.#staged.get(id) ?? [];
    this.#staged.delete(id);
    if (!this.#leadership.isCurrent(term)) return false;
    this.#transaction(() => {
      for (const change of staged) this.#apply(change);
      for (const change of changes) this.#apply(change);
    });
    return true;
  }

  /** At most `limit` rows of a class after a key, by key. */
  page(rowClass: RowClass, afterKey: string, limit: number): readonly StoredRow[] {
    const rows = this.#all(
      'SELECT key, body FROM records WHERE class = ? AND key > ? ORDER BY key LIMIT ?',
      ROW_CLASSES.indexOf(rowClass),
      afterKey,
      limit,
    );
    return rows.map((row) => ({ class: rowClass, key: String(row['key']), body: String(row['body']) }));
  }

  events(build: string, afterSeq: number, limit: number): readonly { readonly seq: number; readonly body: string }[] {
    const rows = this.#all('SELECT seq, body FROM events WHERE build = ? AND seq > ? ORDER BY seq LIMIT ?', build, afterSeq, limit);
    return rows.map((row) => ({ seq: Number(row['seq']), body: String(row['body']) }));
  }

  log(token: string): StoredLog | undefined {
    const [head] = this.#all('SELECT digest, truncated FROM logs WHERE token = ?', token);
    if (head === undefined) return undefined;
    const segments = this.#all('SELECT offset, digest FROM log_segments WHERE token = ? ORDER BY offset', token);
    const chunks = this.#all('SELECT offset, bytes FROM log_chunks WHERE token = ? ORDER BY offset', token);
    return {
      segments: segments.map((row) => ({ offset: Number(row['offset']), digest: storedDigest(row['digest']) })),
      chunks: chunks.map((row) => ({ offset: Number(row['offset']), bytes: storedBytes(row['bytes']) })),
      sealed: head['digest'] === null ? undefined : { digest: storedDigest(head['digest']), truncated: head['truncated'] === 1 },
    };
  }

  incarnation(): string {
    return this.#leadership.incarnation;
  }

  close(): void {
    this.#setMeta('closed', 'yes');
    this.#db.close();
    rmSync(this.#holderPath, { force: true });
  }

  #openMeta({ path, synchronous }: SqliteStoreOptions): Leadership {
    const bootId = hostBootId();
    const inode = String(statSync(path, { bigint: true }).ino);
    let incarnation = this.#meta('incarnation');
    // NORMAL may lose its newest commits with the power, and another file at the same place may be an older copy.
    const lostPower = this.#meta('synchronous') === 'NORMAL' && this.#meta('closed') !== 'yes' && this.#meta('boot') !== bootId;
    if (incarnation === undefined || lostPower || this.#meta('inode') !== inode) incarnation = randomBytes(16).toString('hex');
    this.#setMeta('incarnation', incarnation);
    this.#setMeta('synchronous', synchronous);
    this.#setMeta('closed', 'no');
    this.#setMeta('boot', bootId);
    this.#setMeta('inode', inode);
    return new Leadership(Number(this.#meta('counter') ?? 0), incarnation);
  }

  #apply(change: RowChange): void {
    switch (change.kind) {
      case 'put':
        return this.#run(PUT_RECORD, ROW_CLASSES.indexOf(change.class), change.key, change.body);
      case 'drop':
        return this.#run('DELETE FROM records WHERE class = ? AND key = ?', ROW_CLASSES.indexOf(change.class), change.key);
      case 'event':
        return this.#run(PUT_EVENT, change.build, change.seq, change.body);
      case 'forget':
        return this.#forget(change.build);
      case 'log-chunk':
        this.#run(PUT_LOG, change.token, change.build);
        return this.#run(PUT_CHUNK, change.token, change.offset, change.bytes);
      case 'log-segment':
        this.#run(PUT_LOG, change.token, change.build);
        this.#run(PUT_SEGMENT, change.token, change.offset, change.digest);
        return this.#run(
          'DELETE FROM log_chunks WHERE token = ? AND offset + length(bytes) <= ?',
          change.token,
          change.offset + sizeOf(change.digest),
        );
      case 'log-sealed':
        this.#forgetLog(change.token);
        return this.#run('INSERT INTO logs VALUES (?, ?, ?, ?)', change.token, change.build, change.digest, change.truncated ? 1 : 0);
      case 'log-forgotten':
        return this.#forgetLog(change.token);
      default:
        return unreachable(change);
    }
  }

  #forget(build: string): void {
    // '0' follows '/': the range holds exactly the keys of the build's steps.
    this.#run('DELETE FROM records WHERE class IN (0, 1) AND key = ?', build);
    this.#run('DELETE FROM records WHERE class IN (2, 3) AND key > ? AND key < ?', `${build}/`, `${build}0`);
    this.#run('DELETE FROM events WHERE build = ?', build);
    for (const row of this.#all('SELECT token FROM logs WHERE build = ?', build)) this.#forgetLog(String(row['token']));
  }

  #forgetLog(token: string): void {
    for (const table of ['logs', 'log_segments', 'log_chunks']) this.#run(`DELETE FROM ${table} WHERE token = ?`, token);
  }

  /** What is left of builds whose submission broke off before its last record, the build itself. */
  #dropOrphans(): void {
    const owned = 'NOT IN (SELECT key FROM records WHERE class = 0)';
    this.#run(`DELETE FROM records WHERE class IN (1, 2, 3) AND substr(key, 1, instr(key || '/', '/') - 1) ${owned}`);
    this.#run(`DELETE FROM events WHERE build ${owned}`);
    for (const row of this.#all(`SELECT token FROM logs WHERE build ${owned}`)) this.#forgetLog(String(row['token']));
  }

  #heldFault(path: string, cause: unknown): Fault {
    let holder = 'another process';
    try {
      holder = readFileSync(this.#holderPath, 'utf8').trim();
    } catch {
      // The holder has not written its name yet.
    }
    return new Fault('LEDGER_UNAVAILABLE', `The ledger ${path} is in use by ${holder}`, {
      hint: 'Stop that process, or give this one a state directory of its own.',
      cause,
    });
  }

  #transaction<T>(body: () => T): T {
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

  #statement(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #run(sql: string, ...values: readonly (string | number | Uint8Array)[]): void {
    this.#statement(sql).run(...values);
  }

  #all(sql: string, ...values: readonly (string | number)[]) {
    return this.#statement(sql).all(...values);
  }

  #meta(key: string): string | undefined {
    const value = this.#statement('SELECT value FROM meta WHERE key = ?').get(key)?.['value'];
    return value === undefined ? undefined : String(value);
  }

  #setMeta(key: string, value: string): void {
    this.#run('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
  }
}

/** Makes a new file readable for its owner only. An existing one is not touched: closing it here would drop locks on it. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
      throw new Fault('LEDGER_UNAVAILABLE', `The ledger ${path} cannot be created`, {
        hint: 'Check that the directory exists and may be written.',
        cause: error,
      });
    }
  }
}

/** Changes when the machine starts anew. Where the system does not tell, every start of a process counts as one. */
function hostBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomBytes(16).toString('hex');
  }
}

function storedDigest(value: unknown) {
  const digest = parseDigest(String(value));
  if (digest === undefined) throw new Fault('LEDGER_UNAVAILABLE', `The ledger holds a damaged digest: ${String(value)}`);
  return digest;
}

function storedBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Fault('LEDGER_UNAVAILABLE', 'The ledger holds a damaged log chunk');
  return value;
}
