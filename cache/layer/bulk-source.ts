import type { BlobStore } from '../blob-store.ts';
import { ByteBudget, takeOfBoth } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { BlobInFrame, FrameIn } from '../packs/frame.ts';
import { roomOf } from '../shared-room.ts';

/** Blobs up to this size are asked for in bulk; larger ones are streamed. */
export const BULK_BLOB_BYTES_MAX = 1024 * 1024;

export type BulkBlob = { readonly digest: Digest; readonly bytes: Uint8Array };

/** Frames that lie in one buffer, which is the taker's, each at its `at`, and where in their raw bytes blobs are. */
export type PackedBlobs = {
  readonly bytes: ArrayBuffer;
  readonly frames: readonly { readonly frame: FrameIn; readonly at: number; readonly blobs: readonly BlobInFrame[] }[];
};

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
  /**
   * What it can of the same as they are stored, for whoever decodes and checks by himself. What is left out, or turns out to be other
   * bytes, `getMany` is to be asked for: that finds out why. @default nothing
   */
  getPacked?(digests: readonly Digest[], signal: AbortSignal): AsyncIterable<PackedBlobs>;
  /**
   * The bytes of one larger blob, as `BlobStore.get` gives them, but not verified: the caller checks them as a whole, and asks `get` where
   * they are other ones, which finds out which are. @default as `get`
   */
  getLarge?(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Bytes asked for and not yet taken. */
const AHEAD_BYTES = 16 * 1024 * 1024;
/** Counted for each blob beside its bytes: at most a thousand calls at once, since each costs more the more there are. */
const OVERHEAD_BYTES = 16 * 1024;

/** The store's own bulk interface, or one over `get` with many calls at once, which stores that batch calls put together. */
export function bulkSourceOf(store: BlobStore | (BlobStore & BulkSource)): BulkSource {
  if ('getMany' in store) return store;
  return { getMany: (digests, signal) => getEach(store, digests, signal) };
}

type Fetched = { readonly blob: BulkBlob; readonly room: Disposable };

async function* getEach(store: BlobStore, digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<BulkBlob, void, undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const budget = new ByteBudget(AHEAD_BYTES);
  const underWay = new Set<Promise<void>>();
  let ready: Fetched[] = [];
  let failure: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const fetch = async (digest: Digest, room: Disposable) => {
    try {
      const bytes = await wholeBlob(store, digest, either);
      ready.push({ blob: { digest, bytes }, room }); // looked up now: the list is another one each time that some are taken
    } catch (error) {
      room[Symbol.dispose]();
      failure ??= { error };
      stop.abort();
    }
    wake.resolve();
  };
  // What is fetched keeps its room until it was taken.
  const fetchAll = async () => {
    for (const digest of digests) {
      const room = await takeOfBoth(budget, roomOf(store), sizeOf(digest) + OVERHEAD_BYTES, either);
      const task: Promise<void> = fetch(digest, room).finally(() => underWay.delete(task));
      underWay.add(task);
    }
    await Promise.all(underWay);
  };
  const state = { over: false };
  const all = fetchAll()
    .catch((error: unknown) => void (failure ??= { error }))
    .finally(() => {
      state.over = true;
      wake.resolve();
    });
  try {
    while (!state.over || ready.length > 0) {
      if (ready.length === 0) await wake.promise;
      wake = Promise.withResolvers();
      const some = ready;
      ready = [];
      for (const { blob, room } of some) {
        if (failure !== undefined) break;
        yield blob;
        room[Symbol.dispose]();
      }
      if (failure !== undefined) throw failure.error;
    }
  } finally {
    stop.abort();
    await all;
    await Promise.all(underWay);
  }
}

async function wholeBlob(store: BlobStore, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of store.get(digest, undefined, signal)) parts.push(part);
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
