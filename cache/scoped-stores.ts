import { Fault, isFault } from '../base/fault.ts';
import type { BlobStore, StoreTraits } from './blob-store.ts';
import { EMPTY_DIGEST, type Digest } from './digest.ts';
import type { StoreOf, StoreView } from './store-view.ts';
import type { Owner } from './store-index/store-index.ts';

/**
 * Views over one store per owner. A blob is looked for in the scopes that the view reads, nearest first, and in no other: what the
 * rest of the world holds changes neither an answer nor the time that it takes. What is put goes to the view's own scope, unless
 * a scope that it reads has it. Costs a look into each scope of the chain for what none of them has.
 */
export function scopedStores(traits: StoreTraits, storeOf: (owner: Owner) => BlobStore): StoreOf {
  return (view) => {
    const readable = scopesOf(view).map((scope) => storeOf({ project: view.project, scope }));
    const own = view.writes === undefined ? undefined : storeOf({ project: view.project, scope: view.writes });
    const findMissing = async (digests: readonly Digest[], signal: AbortSignal): Promise<readonly Digest[]> => {
      signal.throwIfAborted();
      let missing: readonly Digest[] | undefined;
      for (const store of readable) {
        if (missing?.length === 0) break;
        missing = await store.findMissing(missing ?? digests, signal); // the first one drops repeats
      }
      return missing ?? [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST);
    };
    return {
      traits,
      async *get(digest, range, signal) {
        let unknown: Fault | undefined;
        for (const store of readable) {
          try {
            return yield* store.get(digest, range, signal);
          } catch (error) {
            if (!isFault(error, 'BLOB_UNKNOWN')) throw error; // it comes before the first chunk or not at all
            unknown = error;
          }
        }
        signal.throwIfAborted();
        if (digest !== EMPTY_DIGEST) throw unknown ?? new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
      },
      atHand(digest) {
        for (const store of readable) {
          const bytes = store.atHand?.(digest);
          if (bytes !== undefined) return bytes;
        }
        return undefined;
      },
      async put(digest, source, signal) {
        if (own === undefined) throw new Fault('FORBIDDEN', `Nothing may be stored in ${view.project} with these rights`);
        if ((await findMissing([digest], signal)).length === 0 && digest !== EMPTY_DIGEST) return;
        await own.put(digest, source, signal);
      },
      findMissing,
    };
  };
}

/** What is looked into: what a view writes it has also written, so that it may know of it. */
function scopesOf({ reads, writes }: StoreView): readonly string[] {
  return writes === undefined || reads.includes(writes) ? reads : [writes, ...reads];
}
