import type { SqliteFile } from '../../../base/sqlite-file.ts';
import type { Digest } from '../../digest.ts';
import { holdLost, indexClosed, otherEpoch, tooManyPacks, wrongPhase } from '../refusals.ts';
import type {
  EntryKey,
  EntryKind,
  EntryRowFilter,
  EpochState,
  Hold,
  NewEntry,
  NewPack,
  Owner,
  PackFilter,
  PackName,
} from '../store-index.ts';
import { SqliteEntries } from './entries.ts';
import { openIndexFile } from './file.ts';
import { requireComplete, SqlitePacks } from './packs.ts';

type Named = EntryKey & { readonly object: string };

/**
 * The index of one host in a SQLite file, which several of its processes may have open: each call is one transaction.
 * Synchronous, for a thread of its own; the wall clock comes as the first argument. Every public method is one call of
 * `openSqliteStoreIndex`'s.
 */
export class SqliteStore {
  readonly #file: SqliteFile;
  readonly #packs: SqlitePacks;
  readonly #entries: SqliteEntries;

  constructor(path: string) {
    this.#file = openIndexFile(path);
    this.#packs = new SqlitePacks(this.#file);
    this.#entries = new SqliteEntries(this.#file, this.#packs);
  }

  epoch(_now: number): EpochState {
    const phase = this.#file.meta('phase');
    return { epoch: this.#file.meta('epoch') ?? '', open: phase !== 'closed', complete: phase === 'complete' };
  }

  open(_now: number, epoch: string): void {
    this.#write(false, epoch, (phase) => {
      if (phase === 'closed') this.#file.setMeta('phase', 'open');
    });
  }

  complete(_now: number, epoch: string): void {
    this.#write(false, epoch, (phase) => {
      if (phase === 'closed') throw wrongPhase('is not open');
      this.#file.setMeta('phase', 'complete');
    });
  }

  addPack(now: number, pack: NewPack, hold: Hold | undefined): void {
    this.#write(hold !== undefined, undefined, () => {
      this.#check(hold);
      this.#packs.add(pack, hold, now);
    });
  }

  locate(now: number, project: string, scopes: readonly string[], digests: readonly Digest[], hold: Hold | undefined) {
    return this.#write(true, undefined, () => {
      this.#check(hold);
      return this.#packs.locate(project, scopes, digests, hold, now);
    });
  }

  forget(_now: number, owner: Owner, rows: readonly { readonly digest: Digest; readonly pack: PackName }[]): void {
    this.#write(true, undefined, () => this.#packs.forget(owner, rows));
  }

  extend(now: number, hold: Hold): void {
    this.#write(true, undefined, () => {
      this.#check(hold);
      this.#packs.requireHold(hold, now);
      this.#packs.hold(hold, [], now);
    });
  }

  release(_now: number, { id }: Pick<Hold, 'id'>): void {
    this.#write(true, undefined, () => this.#packs.release(id));
  }

  prepare(now: number, entry: NewEntry, hold: Hold) {
    return this.#write(true, undefined, () => {
      const tooMany = tooManyPacks(entry);
      if (tooMany !== undefined) throw tooMany;
      this.#check(hold);
      this.#packs.requireHold(hold, now);
      return this.#entries.prepare(entry, now);
    });
  }

  publish(_now: number, entry: Named) {
    return this.#write(true, undefined, () => this.#entries.publish(entry));
  }

  dropEntry(_now: number, entry: Named & { readonly onlyPending?: boolean }): boolean {
    return this.#write(false, undefined, () => this.#entries.drop(entry));
  }

  entry(now: number, kind: EntryKind, project: string, scopes: readonly string[], key: string) {
    return this.#write(true, undefined, () => this.#entries.get(kind, project, scopes, key, now));
  }

  newestEntry(now: number, kind: EntryKind, project: string, scopes: readonly string[], prefix: string) {
    return this.#write(true, undefined, () => this.#entries.newest(kind, project, scopes, prefix, now));
  }

  entries(_now: number, filter: EntryRowFilter, after: EntryKey | undefined, limit: number) {
    return this.#read(false, () => this.#entries.list(filter, after, limit));
  }

  knownObjects(_now: number, objects: readonly string[]): ReadonlySet<string> {
    return this.#read(false, () => this.#entries.known(objects));
  }

  usage(_now: number) {
    return this.#read(true, () => this.#packs.usage());
  }

  packs(_now: number, filter: PackFilter, after: PackName | undefined, limit: number) {
    return this.#read(false, () => this.#packs.list(filter, after, limit));
  }

  condemn(now: number, pack: PackName, epoch: string, unusedSince: number): boolean {
    return this.#write(true, epoch, (phase) => {
      requireComplete(phase);
      return this.#packs.condemn(pack, unusedSince, now);
    });
  }

  condemnRecorded(now: number, pack: PackName, epoch: string): void {
    this.#write(true, epoch, () => this.#packs.recorded(pack, now));
  }

  mayDelete(now: number, pack: PackName, epoch: string, graceMs: number): boolean {
    return this.#read(true, () => this.#file.meta('epoch') === epoch && this.#packs.mayDelete(pack, graceMs, now));
  }

  deleted(_now: number, pack: PackName): void {
    this.#write(true, undefined, () => this.#packs.deleted(pack));
  }

  dropPack(_now: number, pack: PackName): boolean {
    return this.#write(true, undefined, () => this.#packs.drop(pack));
  }

  sweep(_now: number): boolean {
    return this.#write(true, undefined, () => this.#packs.sweep());
  }

  claim(now: number, task: string, holder: string, ttlMs: number): boolean {
    return this.#write(false, undefined, () => {
      const sql = `INSERT INTO claims (task, holder, until) VALUES (?, ?, ?) ON CONFLICT (task)
        DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE holder = excluded.holder OR until <= ?`;
      return this.#file.run(sql, task, holder, now + ttlMs, now) > 0;
    });
  }

  replayCondemned(now: number, packs: readonly PackName[], epoch: string): void {
    this.#write(false, epoch, (phase) => {
      if (phase !== 'closed') throw wrongPhase('is open already');
      this.#packs.replay(packs, now);
      this.#entries.dropNeeding(packs);
    });
  }

  restoreEntry(now: number, entry: NewEntry, epoch: string): boolean {
    return this.#write(false, epoch, () => {
      const tooMany = tooManyPacks(entry);
      if (tooMany !== undefined) throw tooMany;
      return this.#entries.restore(entry, now);
    });
  }

  close(_now: number): void {
    this.#file.close();
  }

  /** One step: refuses where the index is closed and the call needs it open, or of another epoch than the call's. */
  #write<T>(needsOpen: boolean, epoch: string | undefined, body: (phase: string) => T): T {
    return this.#file.transaction(() => {
      const now = this.#file.meta('epoch') ?? '';
      const phase = this.#file.meta('phase') ?? 'closed';
      if (epoch !== undefined && epoch !== now) throw otherEpoch(epoch, now);
      if (needsOpen && phase === 'closed') throw indexClosed();
      return body(phase);
    });
  }

  #read<T>(needsOpen: boolean, body: () => T): T {
    if (needsOpen && this.#file.meta('phase') === 'closed') throw indexClosed();
    return body();
  }

  #check(hold: Hold | undefined): void {
    if (hold !== undefined && hold.epoch !== this.#file.meta('epoch')) throw holdLost(hold);
  }
}
