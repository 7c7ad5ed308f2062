import { scopeChain } from '../../base/caller.ts';
import { isFault } from '../../base/fault.ts';
import { referencesOf, referencesOfTree } from '../action/references.ts';
import type { BlobStore } from '../blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import type { StoreOf } from '../store-view.ts';
import type { ActionCache, ActionKey } from './action-cache.ts';

/** Largest Tree message that is looked into; an entry with a larger one is never complete. */
const TREE_BYTES_MAX = 64 * 1024 * 1024;
/** Digests of trees that are remembered, over all of them: what is named by digest does not change. */
const REMEMBERED = 500_000;

/**
 * Hides entries of which any blob is gone from the entry's own scope and those above it: output files, trees with the files in them
 * (and their directories where a root is named), standard output and error. All blobs of an entry that is given out count as used just now. Costs one
 * `findMissing` per tree and one for the rest. Outermost: nothing that is not complete may be seen.
 */
export function withCompleteness(next: ActionCache, storeOf: StoreOf): ActionCache {
  const trees = new Map<string, ReadonlySet<Digest>>();
  let remembered = 0;

  async function referencesIn(tree: Digest, withDirectories: boolean, store: BlobStore, signal: AbortSignal): Promise<ReadonlySet<Digest>> {
    const key = `${tree}${withDirectories ? '+' : ''}`;
    const known = trees.get(key);
    if (known !== undefined) return known;
    const found = referencesOfTree(
      tree === EMPTY_DIGEST ? new Uint8Array(0) : await blobReader(store, TREE_BYTES_MAX)(tree, signal),
      withDirectories,
    );
    trees.set(key, found);
    remembered += found.size + 1;
    for (const [oldest, references] of trees) {
      if (remembered <= REMEMBERED) break;
      trees.delete(oldest);
      remembered -= references.size + 1;
    }
    return found;
  }

  async function isComplete(result: Uint8Array, store: BlobStore, signal: AbortSignal): Promise<boolean> {
    const { files, trees: directories } = referencesOf(result);
    const named = directories.flatMap(({ tree, root }) => (root === undefined ? [tree] : [tree, root]));
    if ((await store.findMissing([...files, ...named], signal)).length > 0) return false;
    for (const { tree, root } of directories) {
      if (sizeOf(tree) > TREE_BYTES_MAX) return false;
      if ((await store.findMissing([...(await referencesIn(tree, root !== undefined, store, signal))], signal)).length > 0) return false;
    }
    return true;
  }

  return {
    async get(key, signal) {
      const entry = await next.get(key, signal);
      if (entry === undefined) return undefined;
      try {
        return (await isComplete(entry.result, storeOf(viewOf(key)), signal)) ? entry : undefined;
      } catch (error) {
        // A tree that is gone, damaged or no tree: the entry promises what is not there. A store in trouble is not that.
        if (isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT') || isFault(error, 'BAD_REQUEST')) return undefined;
        throw error;
      }
    },
    put: (key, entry, signal) => next.put(key, entry, signal),
  };
}

/** What whoever sees the entry can read for sure, whatever they read beside. */
function viewOf({ project, scope }: ActionKey) {
  return { project, reads: scopeChain(scope), writes: undefined, producer: '' };
}
