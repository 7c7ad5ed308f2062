import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { SQLInputValue } from 'node:sqlite';
import { unreachable } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { isBusy } from '../../base/sqlite-fault.ts';
import { SqliteFile } from '../../base/sqlite-file.ts';
import { parseDigest, sizeOf } from '../../cache/digest.ts';
import { ROW_CLASSES, type RowChange, type RowClass, type StoredRow } from './codec.ts';
import { Leadership } from './leadership.ts';
import type { Leader, StoredLog, Term } from './ledger.ts';
import { LEDGER_FILE } from './sqlite-schema.ts';

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
  readonly #file: SqliteFile;
  readonly #holderPath: string;
  readonly #leadership: Leadership;
  readonly #staged = new Map<number, RowChange[]>();

  constructor(options: SqliteStoreOptions) {
    this.#holderPath = `${options.path}.holder`;
    try {
      this.#file = openFile(options);
    } catch (error) {
      throw isBusy(error) ? this.#heldFault(options.path, error) : error;
    }
    writeFileSync(this.#holderPath, `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 });
    this.#leadership = this.#file.transaction(() => this.#openMeta(options.synchronous));
  }

  lead(holder: Leader, ttlMs: number, nowMs: number): Term | undefined {
    if (!this.#leadership.isFree(holder, nowMs)) return undefined;
    // The counter is stored before the term exists: a term that could not be stored was never given.
    this.#file.transaction(() => {
      this.#file.setMeta('counter', String(this.#leadership.counter + 1));
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
    this.#file.transaction(() => {
      for (const change of staged) this.#apply(change);
      for (const change of changes) this.#apply(change);
    });
    return true;
  }

  /** At most `limit` rows of a class after a key, by key. */
  page(rowClass: RowClass, afterKey: string, limit: number): readonly StoredRow[] {
    const rows = this.#file.all(
      'SELECT key, body FROM records WHERE class = ? AND key > ? ORDER BY key LIMIT ?',
      ROW_CLASSES.indexOf(rowClass),
      afterKey,
      limit,
    );
    return rows.map((row) => ({ class: rowClass, key: String(row['key']), body: String(row['body']) }));
  }

  events(build: string, afterSeq: number, limit: number): readonly { readonly seq: number; readonly body: string }[] {
    const rows = this.#file.all('SELECT seq, body FROM events WHERE build = ? AND seq > ? ORDER BY seq LIMIT ?', build, afterSeq, limit);
    return rows.map((row) => ({ seq: Number(row['seq']), body: String(row['body']) }));
  }

  log(token: string): StoredLog | undefined {
    const [head] = this.#file.all('SELECT digest, truncated FROM logs WHERE token = ?', token);
    if (head === undefined) return undefined;
    const segments = this.#file.all('SELECT offset, digest FROM log_segments WHERE token = ? ORDER BY offset', token);
    const chunks = this.#file.all('SELECT offset, bytes FROM log_chunks WHERE token = ? ORDER BY offset', token);
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
    this.#file.setMeta('closed', 'yes');
    this.#file.close();
    rmSync(this.#holderPath, { force: true });
  }

  #openMeta(synchronous: 'FULL' | 'NORMAL'): Leadership {
    const { boot, inode } = this.#file.origin();
    let incarnation = this.#file.meta('incarnation');
    // NORMAL may lose its newest commits with the power, and another file at the same place may be an older copy.
    const lostPower =
      this.#file.meta('synchronous') === 'NORMAL' && this.#file.meta('closed') !== 'yes' && this.#file.meta('boot') !== boot;
    if (incarnation === undefined || lostPower || this.#file.meta('inode') !== inode) incarnation = randomBytes(16).toString('hex');
    this.#file.setMeta('incarnation', incarnation);
    this.#file.setMeta('synchronous', synchronous);
    this.#file.setMeta('closed', 'no');
    this.#file.setMeta('boot', boot);
    this.#file.setMeta('inode', inode);
    return new Leadership(Number(this.#file.meta('counter') ?? 0), incarnation);
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
    for (const row of this.#file.all('SELECT token FROM logs WHERE build = ?', build)) this.#forgetLog(String(row['token']));
  }

  #forgetLog(token: string): void {
    for (const table of ['logs', 'log_segments', 'log_chunks']) this.#run(`DELETE FROM ${table} WHERE token = ?`, token);
  }

  /** What is left of builds whose submission broke off before its last record, the build itself. */
  #dropOrphans(): void {
    const owned = 'NOT IN (SELECT key FROM records WHERE class = 0)';
    this.#run(`DELETE FROM records WHERE class IN (1, 2, 3) AND substr(key, 1, instr(key || '/', '/') - 1) ${owned}`);
    this.#run(`DELETE FROM events WHERE build ${owned}`);
    for (const row of this.#file.all(`SELECT token FROM logs WHERE build ${owned}`)) this.#forgetLog(String(row['token']));
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

  #run(sql: string, ...values: readonly SQLInputValue[]): void {
    this.#file.run(sql, ...values);
  }
}

/** Opens the file for this connection alone. */
function openFile({ path, synchronous }: SqliteStoreOptions): SqliteFile {
  // Exclusive before the first access: then the write-ahead log needs no shared memory, and the lock is kept until the
  // process ends, however it ends.
  const first = ['locking_mode = EXCLUSIVE', 'journal_mode = WAL'];
  const pragmas = [...first, `synchronous = ${synchronous}`, 'journal_size_limit = 67108864'];
  return new SqliteFile({ kind: LEDGER_FILE, path, lockWaitMs: LOCK_WAIT_MS, pragmas });
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
