import type { TimeMs } from '../../base/clock.ts';
import type { Digest } from '../digest.ts';

declare const packBrand: unique symbol;

/** 32 hex digits of 128 random bits: a pack's name, which is never used again. Its object is `p/<first two>/<name>`. */
export type PackName = string & { readonly [packBrand]: true };

/** Who a pack, a row or an entry belongs to. A pack holds blobs of one owner. */
export type Owner = { readonly project: string; readonly scope: string };

/** A frame in a pack, decodable by itself: `storedBytes` from `offset` give `rawBytes`. */
export type Frame = {
  readonly pack: PackName;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly encoding: 'zstd' | 'raw';
};

/**
 * Where a blob is. `bytes`: `length` bytes of the frame from `offset` are the blob. `recipe`: they are a list of digests
 * (`cache/packs/recipe.ts`) whose blobs, one after the other, are the blob.
 */
export type BlobPlace = { readonly kind: 'bytes' | 'recipe'; readonly frame: Frame; readonly offset: number; readonly length: number };

export type BlobRow = { readonly digest: Digest; readonly place: BlobPlace };

export type NewPack = {
  readonly name: PackName;
  readonly owner: Owner;
  readonly sizeBytes: number;
  /** Who made it, for purging: the id of a build, agent or caller. */
  readonly producer: string;
  /** The index's time (`now`) from before its object was first put: see `ADD_WITHIN_MS`. */
  readonly begunAt: TimeMs;
  readonly rows: readonly BlobRow[];
};

/**
 * A pack must be added within so long of `begunAt`. Whoever was stopped for longer between putting the object and adding the pack must
 * put another: garbage collection may have deleted the object since, and have forgotten its name.
 */
export const ADD_WITHIN_MS = 24 * 3_600_000;

/** Times of use are at most so much too early: a use sooner after the last one that was noted is not noted. */
export const USE_GRAIN_MS = 60_000;

/** An entry needs no more packs than this: 64 GiB in packs of usual size. */
export const ENTRY_PACKS_MAX = 4_096;

/**
 * A pack's life: LIVE → CONDEMNED → DELETED, never back, and no name twice. Only a LIVE pack can be found, held or referenced.
 * What is CONDEMNED has no reference and no hold, and can get none.
 */
export type PackState = 'live' | 'condemned' | 'deleted';

/**
 * A time-bound promise that packs stay: for a running attempt, a reader with a URL, a writer before its commit. It begins with the first
 * call that names its id, covers the packs of every call that names it, and ends `ttlMs` after the newest of them. Once it has ended, the
 * same id begins another one, without the packs of before: take random ids. `epoch` is the index's (see `epoch`): a hold of another
 * epoch is void, and calls that name it throw HOLD_LOST.
 */
export type Hold = { readonly id: string; readonly ttlMs: number; readonly epoch: string };

/** What kind of name leads to a root: an action's result, a dependency cache's entry, a layer, what a build tool keeps by itself. */
export type EntryKind = 'action' | 'dependency' | 'layer' | 'tool';

export type EntryKey = { readonly kind: EntryKind; readonly owner: Owner; readonly key: string };

/** A name and what it stands for. The signed record itself is the object `object` in the store, the truth for a rebuild. */
export type NewEntry = {
  readonly at: EntryKey;
  /** Key of the object that holds the signed record. */
  readonly object: string;
  /** The signed record, kept in the index too where it is small. */
  readonly record: Uint8Array;
  /** All packs that it needs; sorted, without repeats. */
  readonly packs: readonly PackName[];
  /** Bytes it counts with against its owner's quota. */
  readonly bytes: number;
  readonly producer: string;
  /** Whether it takes the place of an entry that is there (first write wins otherwise). */
  readonly replace: boolean;
};

export type EntryRow = NewEntry & { readonly state: 'pending' | 'published'; readonly createdAt: TimeMs; readonly usedAt: TimeMs };

export type Prepared =
  | { readonly kind: 'prepared' }
  /** Another entry has the name, and stays. */
  | { readonly kind: 'exists'; readonly entry: EntryRow }
  /** These packs are not live (any more): store again what they held. */
  | { readonly kind: 'packs-gone'; readonly packs: readonly PackName[] };

export type PackRow = {
  readonly name: PackName;
  readonly owner: Owner;
  readonly sizeBytes: number;
  readonly producer: string;
  readonly state: PackState;
  readonly refCount: number;
  readonly createdAt: TimeMs;
  readonly usedAt: TimeMs;
  /** No hold promises it for longer. In the past: nobody holds it. */
  readonly heldUntil: TimeMs;
  /** When its condemn record was known to be durable in the store; undefined before. The grace time runs from here. */
  readonly condemnedAt: TimeMs | undefined;
};

/** Which entries; all of them where nothing is said. */
export type EntryRowFilter = {
  readonly project?: string;
  readonly scope?: string;
  readonly kind?: EntryKind;
  readonly producer?: string;
  readonly unusedSince?: TimeMs;
  readonly state?: EntryRow['state'];
};

/** Which packs; all of them where nothing is said. */
export type PackFilter = { readonly state?: PackState; readonly owner?: Owner; readonly producer?: string };

/** `open`: readers and writers are let in. `complete`: everything that the store has is known again, so that what is unknown is garbage. */
export type EpochState = { readonly epoch: string; readonly open: boolean; readonly complete: boolean };

/** Live packs and published entries of an owner. */
export type OwnerUsage = { readonly owner: Owner; readonly packBytes: number; readonly packCount: number; readonly entryCount: number };

/**
 * Where everything is in the store: blobs in packs, entries by name, and which packs may go. An index, not the truth: it can be
 * rebuilt from the footers of packs and the signed entries, and losing its last writes loses cached things at most. Every
 * implementation (memory, SQLite, Redis) passes `test/contract/store-index.ts`. Each method is one atomic step in one order;
 * times are the index's own clock. Lists of any length may be given: an implementation takes them apart where that keeps the
 * promise of each method.
 * All methods throw {Fault} STORE_UNAVAILABLE where the index cannot be reached, or is closed (see `open`).
 */
export interface StoreIndex extends AsyncDisposable {
  readonly traits: { readonly shared: boolean };

  /** The index's clock, in ms since 1970. */
  now(signal: AbortSignal): Promise<TimeMs>;

  /**
   * Changes when the index may have forgotten something (made anew, another Redis history). An index of a new epoch is closed, and
   * everything throws until `open`, but for what a rebuild needs: `epoch`, `now`, `claim`, `open`, `replayCondemned`, `addPack` without a
   * hold, `restoreEntry`, `dropEntry`, and the lists `packs`, `entries` and `knownObjects`.
   */
  epoch(signal: AbortSignal): Promise<EpochState>;

  /** Lets readers and writers in, after condemn records were replayed (`replayCondemned`). @throws {Fault} WRONG_STATE for another epoch */
  open(epoch: string, signal: AbortSignal): Promise<void>;
  /**
   * Everything that the store has was added or restored: from now on packs may be condemned.
   * @throws {Fault} WRONG_STATE for another epoch, or where it is not open
   */
  complete(epoch: string, signal: AbortSignal): Promise<void>;

  // ── blobs and packs ──

  /**
   * Makes the pack and its rows visible to its owner; a row for a digest that the owner has in a live pack leaves that one. Where
   * `hold` is given the pack is held from the same step on. Idempotent for the same pack.
   * @throws {Fault} PACK_GONE where the name is condemned or deleted, or `begunAt` too long ago; HOLD_LOST for a hold of another epoch
   */
  addPack(pack: NewPack, hold: Hold | undefined, signal: AbortSignal): Promise<void>;

  /**
   * Where the blobs are for a reader of `scopes` (nearest first): of each, the nearest scope's row in a live pack. Packs of those found
   * count as used now and are held where `hold` is given, in the same step. @throws {Fault} HOLD_LOST for a hold of another epoch
   */
  locate(
    project: string,
    scopes: readonly string[],
    digests: readonly Digest[],
    hold: Hold | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, BlobPlace>>;

  /** Takes rows away whose bytes turned out damaged or gone; the blob can then be stored again. */
  forget(owner: Owner, rows: readonly { readonly digest: Digest; readonly pack: PackName }[], signal: AbortSignal): Promise<void>;

  /** Makes an unexpired hold longer. @throws {Fault} HOLD_LOST where it has expired or is of another epoch */
  extend(hold: Hold, signal: AbortSignal): Promise<void>;
  /**
   * Ends a hold: it cannot be extended or used any more. Its packs stay promised until it would have ended by itself. None there is no
   * error.
   */
  release(hold: Pick<Hold, 'id'>, signal: AbortSignal): Promise<void>;

  // ── entries ──

  /**
   * First half of a commit: a pending entry with a reference to each pack, invisible to readers. Only if every pack is live and the hold
   * unexpired and of this epoch. A pending entry of the same `object` is taken as the same call. A name has at most one published and
   * one pending entry: with `replace` another pending one goes, without it either of them is `exists`.
   * @throws {Fault} HOLD_LOST; TOO_LARGE over `ENTRY_PACKS_MAX`
   */
  prepare(entry: NewEntry, hold: Hold, signal: AbortSignal): Promise<Prepared>;
  /**
   * Second half, once the signed object is durable: visible from now on. Answers the entry that it replaced, if any, whose object may go.
   * Idempotent. @throws {Fault} WRONG_STATE where it is not pending any more
   */
  publish(entry: EntryKey & { readonly object: string }, signal: AbortSignal): Promise<EntryRow | undefined>;
  /**
   * Takes an entry away, pending or published, and drops its references; whether it was there. Delete its object first: else a rebuild
   * would bring it back. With `onlyPending` it stays where it was published meanwhile.
   */
  dropEntry(entry: EntryKey & { readonly object: string; readonly onlyPending?: boolean }, signal: AbortSignal): Promise<boolean>;

  /** The published entry in the nearest of `scopes`, which counts as used now, with its packs. */
  entry(kind: EntryKind, project: string, scopes: readonly string[], key: string, signal: AbortSignal): Promise<EntryRow | undefined>;
  /**
   * The newest (by `createdAt`, then key) published entry whose key begins with `prefix`, of the nearest scope that has one; counts as
   * used now.
   */
  newestEntry(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    prefix: string,
    signal: AbortSignal,
  ): Promise<EntryRow | undefined>;
  /**
   * Published and pending entries in order of project, scope, kind and key (by the bytes of their UTF-8; a pending one after the published
   * one of its name), of names after `after`; at most `limit` names.
   */
  entries(filter: EntryRowFilter, after: EntryKey | undefined, limit: number, signal: AbortSignal): Promise<readonly EntryRow[]>;

  /** Which of these objects belong to an entry, pending or published. */
  knownObjects(objects: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>>;

  /** Every owner that has something, in order of project and scope. */
  usage(signal: AbortSignal): Promise<readonly OwnerUsage[]>;

  // ── garbage collection ──

  /** Packs by name after `after`, of a state; at most `limit`. */
  packs(filter: PackFilter, after: PackName | undefined, limit: number, signal: AbortSignal): Promise<readonly PackRow[]>;

  /**
   * LIVE → CONDEMNED, and its rows go: only if nothing refers to it, no unexpired hold is on it, and it was neither made nor used since
   * `unusedSince`. A name that is not known becomes condemned, so that nobody can add it any more. Whether it is condemned now.
   * @throws {Fault} WRONG_STATE for another epoch, or one that is not `complete`
   */
  condemn(pack: PackName, epoch: string, unusedSince: TimeMs, signal: AbortSignal): Promise<boolean>;
  /**
   * The pack's condemn record is durable in the store: its grace time begins, unless it has begun.
   * @throws {Fault} WRONG_STATE for another epoch, or where the pack is not condemned
   */
  condemnRecorded(pack: PackName, epoch: string, signal: AbortSignal): Promise<void>;
  /** Whether the object of the pack may be deleted now: condemned in this epoch's knowledge, recorded at least `graceMs` ago. */
  mayDelete(pack: PackName, epoch: string, graceMs: number, signal: AbortSignal): Promise<boolean>;
  /** CONDEMNED → DELETED, after the object is gone. @throws {Fault} WRONG_STATE where it is live or not known */
  deleted(pack: PackName, signal: AbortSignal): Promise<void>;
  /** Forgets a DELETED pack. Whether it did. */
  dropPack(pack: PackName, signal: AbortSignal): Promise<boolean>;
  /** Frees what is left of packs that are gone, a bounded piece of it; whether there is more. Call it now and then until there is not. */
  sweep(signal: AbortSignal): Promise<boolean>;
  /** Whether `holder` has the task for the next `ttlMs`: nobody else has, or it had it. With 0 it gives it back. Saves double work; nothing's safety rests on it. */
  claim(task: string, holder: string, ttlMs: number, signal: AbortSignal): Promise<boolean>;

  // ── rebuilding ──

  /**
   * Makes packs condemned whatever the index knew of them (nothing, live): from the store's condemn records, and where their objects are
   * gone. Their grace begins now. Entries that need them go. Only while the index is closed.
   * @throws {Fault} WRONG_STATE for another epoch, or where it is open
   */
  replayCondemned(packs: readonly PackName[], epoch: string, signal: AbortSignal): Promise<void>;
  /**
   * Takes up a published entry from its signed object: only if all its packs are live and, without `replace`, its name is free. Whether it
   * is published now. Times of use begin now. A rebuild gives the versions of a name newest first and without `replace`, so that what was
   * published meanwhile stays. `epoch` is the one in which the store was listed: in a later one the version may have been replaced.
   * @throws {Fault} WRONG_STATE for another epoch; TOO_LARGE over `ENTRY_PACKS_MAX`
   */
  restoreEntry(entry: NewEntry, epoch: string, signal: AbortSignal): Promise<boolean>;
}
