import type { TimeMs } from '../../base/clock.ts';
import type { EntryKey, EntryKind, Owner } from '../store-index/store-index.ts';

/** A named part of what a key was made from, so that a miss can say what changed: `file package-lock.json` → its digest. */
export type KeyPart = { readonly name: string; readonly value: string };

/** An entry of the same project that went into another, and who made it: what a purge follows. */
export type Consumed = {
  readonly kind: EntryKind;
  readonly scope: string;
  readonly key: string;
  readonly build: string;
  readonly agent: string;
};

/** Who made an entry, and of what. Empty text where a part does not apply. */
export type Provenance = {
  readonly build: string;
  readonly step: string;
  readonly attempt: string;
  readonly agent: string;
  /** The zone of the agent that ran it. */
  readonly zone: string;
  /** Name of the caller that asked for it. */
  readonly caller: string;
  /** `executor`: we ran it. `client`: a client says that it ran it. */
  readonly writer: 'executor' | 'client';
  /** The entries that went into it, as far as they are known: results of the steps that it needed, dependency caches. */
  readonly consumed: readonly Consumed[];
};

/** Of an entry that nothing is known of: to be spread under what is. */
export const NO_PROVENANCE = {
  build: '',
  step: '',
  attempt: '',
  agent: '',
  zone: '',
  caller: '',
  writer: 'client',
  consumed: [],
} as const satisfies Provenance;

/**
 * A name in a scope and what it stands for. A key is 1 to 512 bytes of text without control characters. `value` is a REAPI ActionResult for
 * every kind: a dependency cache's has its paths as output directories.
 */
export type Entry = {
  readonly at: EntryKey;
  readonly value: Uint8Array;
  readonly parts: readonly KeyPart[];
  readonly provenance: Provenance;
  readonly writtenAt: TimeMs;
};

export type Put =
  /** It is kept. */
  | { readonly kind: 'kept'; readonly entry: Entry }
  /** An earlier one stays, with the same value. */
  | { readonly kind: 'same'; readonly entry: Entry }
  /** An earlier one stays, and its value is another: the same key led to two results. */
  | { readonly kind: 'differs'; readonly entry: Entry };

/**
 * Signed names. What an entry needs may be gone: `withCompleteness` asks. An entry whose signature does not hold is removed and not there.
 * Every implementation passes `test/contract/entry-store.ts`. All methods throw {Fault} STORE_UNAVAILABLE.
 */
export interface EntryStore {
  /** The entry in the nearest of `scopes`, which counts as used now. */
  get(kind: EntryKind, project: string, scopes: readonly string[], key: string, signal: AbortSignal): Promise<Entry | undefined>;
  /**
   * The newest entry whose key begins with `prefix`, of the nearest scope that has one; counts as used now.
   * @throws {Fault} BAD_REQUEST for other kinds than `dependency`
   */
  newest(kind: EntryKind, project: string, scopes: readonly string[], prefix: string, signal: AbortSignal): Promise<Entry | undefined>;
  /**
   * Keeps an entry unless its name is taken: the first write wins. `replace` (an executor's result over a client's, or over one that
   * is not complete any more) takes its place.
   * @throws {Fault} BAD_REQUEST, TOO_LARGE; STORE_FULL; BLOB_UNKNOWN where the store ties entries to the blobs that they need, and
   * one of them is not in its owner's reads
   */
  put(entry: Entry, options: { readonly replace: boolean }, signal: AbortSignal): Promise<Put>;
  /**
   * Entries in order of scope, kind and key (by the bytes of their UTF-8), after `after`; at most `limit`, and fewer only where there
   * are no more. `producer`: the id of a build or agent or the name of a caller. Does not count as a use.
   */
  list(project: string, filter: EntryFilter, after: EntryKey | undefined, limit: number, signal: AbortSignal): Promise<readonly Entry[]>;
  /** Takes it away; whether it was there. */
  drop(at: EntryKey, signal: AbortSignal): Promise<boolean>;
  /** Takes away what was read, unless something else has taken its name since; whether it was still there. */
  dropSeen(entry: Entry, signal: AbortSignal): Promise<boolean>;
  /** How many entries each owner has, in no order. */
  usage(signal: AbortSignal): Promise<readonly EntryUsage[]>;
}

/** Which entries of a project a list has: those that fit all that is given. */
export type EntryFilter = { readonly scope?: string; readonly kind?: EntryKind; readonly producer?: string };

export type EntryUsage = { readonly owner: Owner; readonly entryCount: number };

/** Whether a build, an agent or a caller of that name made it. */
export function isProducedBy({ provenance }: Entry, producer: string): boolean {
  return [provenance.build, provenance.agent, provenance.caller].includes(producer);
}
