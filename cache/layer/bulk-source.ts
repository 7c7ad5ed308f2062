import type { BlobStore } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';

/** Blobs up to this size are asked for in bulk; larger ones are streamed. */
export const BULK_BLOB_BYTES_MAX = 1024 * 1024;

export type BulkBlob = { readonly digest: Digest; readonly bytes: Uint8Array };

/**
 * A store that has a faster way for many small blobs than one call for each, such as reading the frames of packs that hold them. A
 * `BlobStore` may be one too: `bulkSourceOf` finds out.
 */
export interface BulkSource {
  /**
   * The bytes of blobs of at most `BULK_BLOB_BYTES_MAX`, named once each, in an order of the source's choosing, each verified or not: the
   * caller checks. The source reads ahead only within a bound of its own, and stops when the caller leaves.
   * @throws {Fault} BLOB_UNKNOWN naming a digest that it does not have; as `BlobStore.get`.
   */
  getMany(digests: readonly Digest[], signal: AbortSignal): AsyncIterable<BulkBlob>;
}

/** Bytes asked for and not yet taken. */
const AHEAD_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES = 2 * 1024;

/** The store's own bulk interface, or one over `get` with many calls at once, which stores that batch calls put together. */
export function bulkSourceOf(store: BlobStore | (BlobStore & BulkSource)): BulkSource {
  if ('getMany' in store) return store;
  return { getMany: (digests, signal) => getEach(store, digests, signal) };
}

async function* getEach(store: BlobStore, digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<BulkBlob, void, undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const ready: BulkBlob[] = [];
  let wake = Promise.withResolvers<void>();
  let over: { readonly error?: unknown } | undefined;
  let readyBytes = 0;
  let room = Promise.withResolvers<void>();
  const fetch = async (digest: Digest, until: AbortSignal) => {
    const parts: Uint8Array[] = [];
    for await (const part of store.get(digest, undefined, until)) parts.push(part);
    const [only] = parts;
    const bytes = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
    ready.push({ digest, bytes });
    readyBytes += bytes.byteLength + OVERHEAD_BYTES;
    wake.resolve();
    while (readyBytes > AHEAD_BYTES && !until.aborted) await room.promise;
  };
  const running = forEachWithin(digests, AHEAD_BYTES, (digest) => sizeOf(digest) + OVERHEAD_BYTES, fetch, either).then(
    () => {
      over = {};
      wake.resolve();
    },
    (error: unknown) => {
      over = { error };
      wake.resolve();
    },
  );
  try {
    for (;;) {
      for (let blob = ready.shift(); blob !== undefined; blob = ready.shift()) {
        yield blob;
        readyBytes -= blob.bytes.byteLength + OVERHEAD_BYTES;
        room.resolve();
        room = Promise.withResolvers<void>();
      }
      if (over !== undefined) {
        if ('error' in over) throw over.error;
        return;
      }
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    stop.abort();
    room.resolve();
    await running;
  }
}
