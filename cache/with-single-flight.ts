import type { BlobStore } from './blob-store.ts';
import type { Digest } from './digest.ts';

/**
 * Writes of the same blob at the same time become one: the others wait for it and read their own source only if it fails.
 * Costs an entry per write under way. Directly above a store that many callers share.
 */
export function withSingleFlight(next: BlobStore): BlobStore {
  const flights = new Map<Digest, Promise<boolean>>();
  return {
    traits: next.traits,
    get: (digest, range, signal) => next.get(digest, range, signal),
    async put(digest, source, signal) {
      for (let flight = flights.get(digest); flight !== undefined; flight = flights.get(digest)) {
        if (await unlessAborted(flight, signal)) return;
      }
      const writing = next.put(digest, source, signal);
      const flight = writing.then(
        () => true,
        () => false,
      );
      flights.set(digest, flight);
      try {
        await writing;
      } finally {
        flights.delete(digest);
      }
    },
    findMissing: (digests, signal) => next.findMissing(digests, signal),
  };
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
