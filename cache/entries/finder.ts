import type { EntryKind, Owner } from '../store-index/store-index.ts';
import type { Entry, KeyPart, Put } from './entry-store.ts';
import type { Explanation } from './explain.ts';

/** An entry, and the prefix by which it was found; undefined where it was the key itself. */
export type Found = { readonly entry: Entry; readonly prefix: string | undefined };

/**
 * Names that are asked of a data plane: `owner` is read with the ancestors of its scope, and written alone. All methods throw {Fault}s of
 * the connection.
 */
export interface EntryFinder {
  /** The entry of the key in the nearest scope, else the newest of the first prefix that has one in the nearest scope. Complete. */
  find(kind: EntryKind, owner: Owner, key: string, prefixes: readonly string[], signal: AbortSignal): Promise<Found | undefined>;
  /** Why there is none of the key, told of the scopes that the owner reads only. */
  explain(kind: EntryKind, owner: Owner, key: string, parts: readonly KeyPart[], signal: AbortSignal): Promise<Explanation>;
  /** As `EntryStore.put`, in the scope of the entry. */
  put(entry: Entry, options: { readonly replace: boolean }, signal: AbortSignal): Promise<Put>;
}

/** The causes that speak of scopes that are read: what is in others is none of the reader's business. */
export function causesOf(causes: readonly string[], reads: readonly string[]): readonly string[] {
  return causes.filter((cause) => reads.some((scope) => cause.startsWith(`${scope} `) || cause.startsWith(`${scope}: `)));
}
