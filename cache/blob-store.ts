import type { Digest } from './digest.ts';

/** A half-open range of a blob's bytes: from `offset`, at most `length` bytes (to the end where it is absent). */
export type ByteRange = { readonly offset: number; readonly length?: number };

/** Differences between stores that their users may act on. */
export type StoreTraits = {
  /** What survives: nothing, the end of the process, or loss of power. */
  readonly durability: 'none' | 'process' | 'power';
  /** Whether several processes may use the same store at once. */
  readonly shared: boolean;
};

/**
 * Blobs by digest. Every implementation passes `test/contract/blob-store.ts`.
 *
 * Streams are async iterables of byte chunks; the consumer ends one early by `return()` (which `for await` does on
 * `break`) and the store then frees what it held. Chunks may alias internal buffers: copy what you keep.
 */
export interface BlobStore {
  readonly traits: StoreTraits;

  /**
   * The blob's bytes. Presence is checked before the first chunk, and a fault after it is thrown, never a short end.
   * @throws {Fault} BLOB_UNKNOWN where the store has no such blob; OUT_OF_RANGE where the range starts beyond its end;
   * BLOB_CORRUPT where stored bytes do not match (the copy is evicted); STORE_UNAVAILABLE.
   */
  get(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array>;

  /**
   * The whole blob, verified and the caller's own, where the store can give it at once: a small one on a disk. Counts as used just now.
   * Undefined says nothing: then `get` it. Who takes many lets others have their turn.
   * @throws {Fault} BLOB_CORRUPT (the copy is evicted), STORE_UNAVAILABLE
   */
  atHand?(digest: Digest): Uint8Array | undefined;

  /**
   * Stores the blob; returns once it is as durable as `traits` say. Idempotent; a blob that is there already counts as used
   * and the source need not be read. Nothing becomes visible unless all bytes came and match. A source that can be iterated
   * again from its start lets a remote store try again after a passing fault.
   * @throws {Fault} DIGEST_MISMATCH, STORE_FULL, STORE_UNAVAILABLE; whatever `source` throws.
   */
  put(digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void>;

  /**
   * The digests that the store does not hold, without repeats. Those that it holds count as used just now. A store in
   * trouble throws: it never answers "missing" or "present" while in doubt.
   * @throws {Fault} STORE_UNAVAILABLE
   */
  findMissing(digests: readonly Digest[], signal: AbortSignal): Promise<readonly Digest[]>;
}

/** All bytes of a blob that is known to be small. @throws {Fault} as `get`; TOO_LARGE over `limitBytes`. */
export type ReadBlob = (digest: Digest, signal: AbortSignal) => Promise<Uint8Array>;
