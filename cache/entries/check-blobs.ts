import { isFault } from '../../base/fault.ts';
import { referencesOf, referencesOfTree } from '../action/references.ts';
import type { BlobStore } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';

/** What reading all blobs of an entry has shown. What an entry's missing or damaged trees name is not known, and so not counted. */
export type CheckedBlobs = {
  readonly blobCount: number;
  /** Of the blobs that came as they should. */
  readonly readBytes: number;
  readonly missing: readonly Digest[];
  /** Other bytes than the digest says, or a tree that is none. */
  readonly damaged: readonly Digest[];
};

/** Bytes that are read at once; what is larger is read alone. */
const IN_FLIGHT_BYTES = 32 * 1024 * 1024;
const OVERHEAD_BYTES = 256 * 1024;

/**
 * Reads every blob that the value of an entry needs, once each, to its end; `store` checks what it gives out.
 * @throws {Fault} BAD_REQUEST where the value is no ActionResult; STORE_UNAVAILABLE: a store in trouble says nothing about its blobs
 */
export async function checkBlobs(value: Uint8Array, store: BlobStore, signal: AbortSignal): Promise<CheckedBlobs> {
  const { files, trees } = referencesOf(value);
  const wanted = new Set(files);
  const looked = new Set<Digest>([EMPTY_DIGEST]);
  const checker = new Checker(store);
  for (const { tree, root } of trees) {
    if (root !== undefined) wanted.add(root);
    if (looked.has(tree)) continue;
    looked.add(tree);
    for (const digest of await checker.tree(tree, root !== undefined, signal)) wanted.add(digest);
  }
  const rest = [...wanted].filter((digest) => !looked.has(digest));
  const costOf = (digest: Digest) => Math.min(IN_FLIGHT_BYTES, sizeOf(digest) + OVERHEAD_BYTES);
  await forEachWithin(rest, IN_FLIGHT_BYTES, costOf, (digest, either) => checker.blob(digest, either), signal);
  return checker;
}

class Checker implements CheckedBlobs {
  readonly missing: Digest[] = [];
  readonly damaged: Digest[] = [];
  blobCount = 0;
  readBytes = 0;
  readonly #store: BlobStore;

  constructor(store: BlobStore) {
    this.#store = store;
  }

  async blob(digest: Digest, signal: AbortSignal): Promise<void> {
    await this.#try(digest, async () => {
      for await (const _ of this.#store.get(digest, undefined, signal)) signal.throwIfAborted();
    });
  }

  /** The blobs that a Tree names; none where it cannot be read. */
  async tree(tree: Digest, withDirectories: boolean, signal: AbortSignal): Promise<ReadonlySet<Digest>> {
    let found: ReadonlySet<Digest> = new Set();
    await this.#try(tree, async () => {
      found = referencesOfTree(await blobReader(this.#store)(tree, signal), withDirectories);
    });
    return found;
  }

  async #try(digest: Digest, read: () => Promise<void>): Promise<void> {
    this.blobCount += 1;
    try {
      await read();
      this.readBytes += sizeOf(digest);
    } catch (error) {
      if (isFault(error, 'BLOB_UNKNOWN')) this.missing.push(digest);
      else if (DAMAGE.some((code) => isFault(error, code))) this.damaged.push(digest);
      else throw error;
    }
  }
}

/** The last two are of trees. */
const DAMAGE = ['BLOB_CORRUPT', 'BAD_REQUEST', 'TOO_LARGE'] as const;
