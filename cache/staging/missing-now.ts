import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import type { Owner } from '../store-index/store-index.ts';
import type { StoreOf, StoreView } from '../store-view.ts';

/** Of some blobs those that a view cannot read while the store is away. */
export type MissingNow = (view: StoreView, digests: readonly Digest[], signal: AbortSignal) => Promise<readonly Digest[]>;

/**
 * What lies in the local tier can be read, where the index says that the store has it too: a copy alone may be of an upload that the store
 * never took, and goes when there is no room. Where the index does not answer, nothing counts as there.
 */
export function missingNow(
  local: StoreOf,
  ownerOf: (view: StoreView, digest: Digest, signal: AbortSignal) => Promise<Owner | undefined>,
): MissingNow {
  return async (view, digests, signal) => {
    const asked = [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST);
    const missing = new Set(await local(view).findMissing(asked, signal));
    const look = async (digest: Digest) => {
      const owner = missing.has(digest) ? undefined : await ownerOf(view, digest, signal).catch(() => undefined);
      if (owner === undefined) missing.add(digest);
    };
    await Promise.all(asked.map(look)); // questions of one turn become one
    signal.throwIfAborted();
    return asked.filter((digest) => missing.has(digest));
  };
}
