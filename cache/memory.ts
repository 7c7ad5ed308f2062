import { Fault } from '../base/fault.ts';
import type { BlobStore } from './blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from './digest.ts';
import { spanOf } from './range.ts';
import { scopedStores } from './scoped-stores.ts';
import type { StoreOf } from './store-view.ts';
import { collectVerified, verifyBytes } from './verify.ts';

/** The blobs of all owners in this process' memory, a store each. */
export function memoryStores(): StoreOf {
  const stores = new Map<string, BlobStore>();
  return scopedStores(MEMORY_TRAITS, ({ project, scope }) => {
    const name = JSON.stringify([project, scope]);
    const store = stores.get(name) ?? memoryStore();
    stores.set(name, store);
    return store;
  });
}

const MEMORY_TRAITS = { durability: 'none', shared: false } as const;

/** A store in this process' memory that forgets what was used least when it is full. For tests, simulation and small tiers. */
export function memoryStore(options: { readonly limitBytes?: number } = {}): BlobStore {
  const limitBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
  /** Least recently used first. */
  const blobs = new Map<Digest, Uint8Array>();
  let usedBytes = 0;
  const use = (digest: Digest): Uint8Array | undefined => {
    const bytes = blobs.get(digest);
    if (bytes !== undefined) {
      blobs.delete(digest);
      blobs.set(digest, bytes);
    }
    return bytes;
  };
  const forget = (digest: Digest): void => {
    if (blobs.delete(digest)) usedBytes -= sizeOf(digest);
  };
  return {
    traits: MEMORY_TRAITS,
    async *get(digest, range, signal) {
      signal.throwIfAborted();
      const { start, length } = spanOf(digest, range);
      if (digest === EMPTY_DIGEST) return;
      const bytes = use(digest);
      if (bytes === undefined) throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
      try {
        verifyBytes(digest, bytes, 'BLOB_CORRUPT');
      } catch (error) {
        forget(digest);
        throw error;
      }
      if (length > 0) yield bytes.subarray(start, start + length);
    },
    async put(digest, source, signal) {
      signal.throwIfAborted();
      if (use(digest) !== undefined) return;
      if (sizeOf(digest) > limitBytes) throw new Fault('STORE_FULL', `Blob ${digest} is larger than the whole store (${limitBytes} bytes)`);
      const bytes = Uint8Array.from(await collectVerified(digest, source));
      signal.throwIfAborted();
      if (digest === EMPTY_DIGEST || blobs.has(digest)) return;
      for (const oldest of blobs.keys()) {
        if (usedBytes + bytes.byteLength <= limitBytes) break;
        forget(oldest);
      }
      blobs.set(digest, bytes);
      usedBytes += bytes.byteLength;
    },
    async findMissing(digests, signal) {
      signal.throwIfAborted();
      return [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST && use(digest) === undefined);
    },
  };
}
