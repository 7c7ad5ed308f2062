import { Fault } from '../base/fault.ts';
import type { BlobStore } from './blob-store.ts';

/**
 * What one reader and writer may see of the store, as worked out from verified facts (see `cache/rpc/access.ts`). A blob is there for
 * them where it was stored in one of `reads`, whatever other scopes hold.
 */
export type StoreView = {
  readonly project: string;
  /** Scopes that are read, nearest first. */
  readonly reads: readonly string[];
  /** The scope that is written; undefined where nothing may be stored. */
  readonly writes: string | undefined;
  /** Who stores: the id of a build, agent or caller, for purging what they made. */
  readonly producer: string;
};

/** The blobs of a view. `put` throws FORBIDDEN where the view writes nothing. */
export type StoreOf = (view: StoreView) => BlobStore;

/** The scope in which the view stores. @throws {Fault} FORBIDDEN where it stores nothing */
export function scopeWritten({ reads, writes }: StoreView): string {
  if (writes !== undefined) return writes;
  throw new Fault('FORBIDDEN', `Your credential may read ${reads[0]} and not store there`, {
    hint: 'Storing needs the role submitter or above, and goes to the own scope only: leave the scope out of the instance name.',
  });
}
