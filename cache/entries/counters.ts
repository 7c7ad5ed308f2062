import type { EntryKind } from '../store-index/store-index.ts';
import { ENTRY_KINDS } from './check.ts';
import type { Put } from './entry-store.ts';
import type { Cause } from './departures.ts';

/**
 * Why a key was not found: `absent` where nothing else is known; `incomplete` also where the entry is there and a blob that it names
 * is not.
 */
export type MissCause = Cause | 'absent';

/** Why a record or an entry was not taken for one. The first three: what its signature says. `zone`: the scope demands a higher one. */
export type RefusedBecause = 'bad' | 'unknown-key' | 'newer-version' | 'zone';

type Sums<K extends string> = Record<K, number>;

/** Sums since the process began. */
export type EntryCounters = {
  /** By key, and by the prefix of a key. */
  readonly hits: Record<EntryKind, Sums<'key' | 'prefix'>>;
  readonly misses: Record<EntryKind, Sums<MissCause>>;
  /** `differs`: the same key led to another value before, which stays. */
  readonly puts: Record<EntryKind, Sums<Put['kind']>>;
  readonly refused: Sums<RefusedBecause>;
};

export function newEntryCounters(): EntryCounters {
  // One for each kind.
  const each = <T>(make: () => T) => Object.fromEntries(ENTRY_KINDS.map((kind) => [kind, make()])) as Record<EntryKind, T>;
  return {
    hits: each(() => ({ key: 0, prefix: 0 })),
    misses: each(() => ({ absent: 0, evicted: 0, unused: 0, purged: 0, incomplete: 0 })),
    puts: each(() => ({ kept: 0, same: 0, differs: 0 })),
    refused: { bad: 0, 'unknown-key': 0, 'newer-version': 0, zone: 0 },
  };
}
