import { decodeStepResult } from '../../cache/action/action-result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, parseDigest, type Digest } from '../../cache/digest.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import { blobReader } from '../../cache/read-blob.ts';
import type { EntryAdmin } from '../../cache/rpc/entry-admin.ts';
import type { EntryKind } from '../../cache/store-index/store-index.ts';
import { graftOutputs } from '../../cache/tree/graft.ts';
import { UsageError } from '../exit.ts';
import { findKey } from './find-key.ts';

/** A tree that can be written out: `store` has all of it. */
export type FoundTree = { readonly root: Digest; readonly store: BlobStore; readonly entry: Entry | undefined };

/**
 * The tree that somebody named: by the key of an entry (an action, a dependency cache, a layer), whose outputs are then at their paths;
 * else by the digest of its root.
 * @throws {UsageError} where there is no such entry; {Fault} BLOB_UNKNOWN where a tree is not there
 */
export async function findTree(
  { admin, instanceName }: { readonly admin: Pick<EntryAdmin, 'find' | 'list'>; readonly instanceName: string },
  store: BlobStore,
  what: string,
  kind: EntryKind | undefined,
  signal: AbortSignal,
): Promise<FoundTree> {
  const digest = parseDigest(what);
  const kinds: readonly EntryKind[] = kind !== undefined ? [kind] : digest === undefined ? ['dependency', 'layer'] : ['action'];
  for (const one of kinds) {
    const [named] = (await findKey(admin, instanceName, what, one, signal)).found;
    const entry = named === undefined ? undefined : await admin.find(instanceName, one, named.at.key, signal);
    if (entry !== undefined) return await treeOf(entry, store, signal);
  }
  if (digest !== undefined && kind === undefined) return { root: digest, store, entry: undefined };
  throw new UsageError(
    `There is no ${kinds.join(' or ')} entry of the key "${what}" with all its blobs`,
    `"switchyard cache explain --key" says what is known of it, "switchyard cache ls" what there is.`,
  );
}

async function treeOf(entry: Entry, store: BlobStore, signal: AbortSignal): Promise<FoundTree> {
  const { outputs } = decodeStepResult(entry.value);
  const { root, added } = await graftOutputs(EMPTY_DIGEST, '', outputs, blobReader(store), signal);
  return { root, store: withBlobs(store, added), entry };
}

/** The store, and blobs beside it that it need not have. */
function withBlobs(next: BlobStore, blobs: ReadonlyMap<Digest, Uint8Array>): BlobStore {
  return {
    traits: next.traits,
    async *get(digest, range, signal) {
      const own = blobs.get(digest);
      if (own === undefined) yield* next.get(digest, range, signal);
      else
        yield range === undefined ? own : own.subarray(range.offset, range.length === undefined ? undefined : range.offset + range.length);
    },
    put: (digest, source, signal) => next.put(digest, source, signal),
    findMissing: (digests, signal) => next.findMissing(digests, signal),
  };
}
