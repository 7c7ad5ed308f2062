import { sizeOf } from './digest.ts';
import type { StoreOf } from './store-view.ts';

/** What callers have moved and looked for; sums since the process began. */
export type BlobCounters = {
  readBlobs: number;
  readBytes: number;
  storedBlobs: number;
  storedBytes: number;
  there: number;
  missing: number;
};

export function newBlobCounters(): BlobCounters {
  return { readBlobs: 0, readBytes: 0, storedBlobs: 0, storedBytes: 0, there: 0, missing: 0 };
}

/** Counts what passes. Outermost: what callers see, wherever it came from. A blob that was there already counts as stored. */
export function withBlobCounts(storeOf: StoreOf, counters: BlobCounters): StoreOf {
  return (view) => {
    const next = storeOf(view);
    return {
      traits: next.traits,
      async *get(digest, range, signal) {
        for await (const chunk of next.get(digest, range, signal)) {
          counters.readBytes += chunk.byteLength;
          yield chunk;
        }
        counters.readBlobs += 1;
      },
      atHand(digest) {
        const bytes = next.atHand?.(digest);
        if (bytes === undefined) return undefined;
        counters.readBytes += bytes.byteLength;
        counters.readBlobs += 1;
        return bytes;
      },
      async put(digest, source, signal) {
        await next.put(digest, source, signal);
        counters.storedBlobs += 1;
        counters.storedBytes += sizeOf(digest);
      },
      async findMissing(digests, signal) {
        const missing = await next.findMissing(digests, signal);
        counters.missing += missing.length;
        counters.there += Math.max(0, digests.length - missing.length);
        return missing;
      },
    };
  };
}
