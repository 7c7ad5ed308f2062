import { Fault, detailOf, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../blob-store.ts';
import { unlessAborted } from '../packs/tries.ts';
import type { StoreOf } from '../store-view.ts';
import type { StagingArea } from './area.ts';
import type { MissingNow } from './missing-now.ts';

export type WithStagingOptions = {
  readonly next: StoreOf;
  /** What cannot be read without the store. */
  readonly missing: MissingNow;
  readonly area: StagingArea;
  /** Whether the store is left alone at the moment. */
  readonly isAway: () => boolean;
  /** How long a blob that came as a whole waits for the store before it is staged. @default 10 seconds */
  readonly patienceMs?: number;
};

const PATIENCE_MS = 10_000;

/**
 * Lets uploads go on while the store is away: they are staged on the local disk, under the same owner, and read from there by those
 * who may read that owner. While it is away only what can be read now counts as there, so that what others will need is uploaded
 * again. A stream that the store broke off in its middle fails as BUCKET_UNAVAILABLE, and its next try is staged. Outermost: whoever
 * must know that bytes are in the store asks `next`.
 */
export function withStaging({ next, missing, area, isAway, patienceMs = PATIENCE_MS }: WithStagingOptions): StoreOf {
  return (view) => {
    const far = next(view);
    const staged = area.storeOf(view);

    /** Whether the store took it; not where it did not answer. */
    async function wasTaken(put: BlobStore['put'], ...[digest, bytes, signal]: Parameters<BlobStore['put']>): Promise<boolean> {
      const late = AbortSignal.timeout(patienceMs);
      try {
        const either = AbortSignal.any([signal, late]);
        await unlessAborted(put(digest, bytes, either), either);
        return true;
      } catch (error) {
        if (!signal.aborted && (late.aborted || isFault(error, 'STORE_UNAVAILABLE'))) return false;
        throw error;
      }
    }

    return {
      traits: far.traits,
      async *get(digest, range, signal) {
        if (!area.isEmpty) {
          try {
            return yield* staged.get(digest, range, signal);
          } catch (error) {
            if (!isFault(error, 'BLOB_UNKNOWN')) throw error; // it comes before the first chunk or not at all
          }
        }
        try {
          yield* far.get(digest, range, signal);
        } catch (error) {
          throw asAway(error);
        }
      },
      async put(digest, source, signal) {
        signal.throwIfAborted();
        if (isAway() || (source instanceof Uint8Array && !(await wasTaken(far.put, digest, source, signal)))) {
          return await area.put(view, digest, source, signal);
        }
        if (source instanceof Uint8Array) return;
        await far.put(digest, source, signal).catch((error: unknown) => {
          throw asAway(error);
        });
      },
      async findMissing(digests, signal) {
        const unstaged = area.isEmpty ? digests : await staged.findMissing(digests, signal);
        if (!isAway()) {
          try {
            return await far.findMissing(unstaged, signal);
          } catch (error) {
            if (!isFault(error, 'STORE_UNAVAILABLE')) throw error;
          }
        }
        return await missing(view, unstaged, signal);
      },
    };
  };
}

/** STORE_UNAVAILABLE as those see it who reach this data plane all the same. */
export function asAway(error: unknown): unknown {
  return isFault(error, 'STORE_UNAVAILABLE') ? new Fault('BUCKET_UNAVAILABLE', error.message, { ...detailOf(error), cause: error }) : error;
}
