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
