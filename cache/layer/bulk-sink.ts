import type { BlobStore } from '../blob-store.ts';
import type { Digest } from '../digest.ts';

/** A blob to store; `read` gives all of its bytes, each time anew. */
export type SmallBlob = { readonly digest: Digest; readonly read: () => Promise<Uint8Array> };

/** Up to this size blobs are stored in bulk where a store can; larger ones are cut into pieces, some of which it may have. */
export const SINK_BLOB_BYTES_MAX = 1024 * 1024 - 1;

/** A store that has a faster way for many small blobs than one call for each. A `BlobStore` may be one too: `bulkSinkOf` finds out. */
export interface BulkSink {
  /**
   * Stores what it can of blobs of at most `SINK_BLOB_BYTES_MAX`, and says which: they are as durable as after `put`. Whatever it leaves
   * out, for want of worth, or because something failed, is to be put. @throws the reason of `signal` only
   */
  putMany(blobs: readonly SmallBlob[], signal: AbortSignal): Promise<ReadonlySet<Digest>>;
}

const NOTHING: BulkSink = { putMany: async () => new Set() };

/** The store's own, or one that stores nothing. */
export function bulkSinkOf(store: BlobStore | (BlobStore & BulkSink)): BulkSink {
  return 'putMany' in store ? store : NOTHING;
}
