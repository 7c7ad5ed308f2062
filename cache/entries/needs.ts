import { scopeChain } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { referencesOf, referencesOfTree, type References } from '../action/references.ts';
import type { BlobStore } from '../blob-store.ts';
import { ByteBudget } from '../byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import type { Owner } from '../store-index/store-index.ts';
import type { StoreOf, StoreView } from '../store-view.ts';

/** Largest Tree message that is looked into; an entry with a larger one is never complete. */
const TREE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of trees that are read at once, over all entries that are looked at. */
const READING_BYTES_MAX = TREE_BYTES_MAX;
/** Digests of trees that are remembered, over all of them: what is named by digest does not change. */
const REMEMBERED = 500_000;

/** What everybody who can see an owner's entry can read for sure, whatever they read beside. */
export function viewOf({ project, scope }: Owner): StoreView {
  return { project, reads: scopeChain(scope), writes: undefined, producer: '' };
}

/**
 * What an entry's value, a REAPI ActionResult, needs: its files, its trees with what is in them (their directories too where a root is
 * named), its output texts.
 */
export class Needs {
  readonly #storeOf: StoreOf;
  /** By tree. */
  readonly #known = new Map<string, ReadonlySet<Digest>>();
  /** Of values that somebody keeps: an entry that is asked for again and again is read once. */
  readonly #named = new WeakMap<Uint8Array, References>();
  #remembered = 0;
  readonly #reading = new ByteBudget(READING_BYTES_MAX);

  constructor(storeOf: StoreOf) {
    this.#storeOf = storeOf;
  }

  /**
   * All blobs that the value needs, without repeats.
   * @throws {Fault} BLOB_UNKNOWN, BLOB_CORRUPT where one of its trees is not there for its owner; BAD_REQUEST where it is no ActionResult,
   * or a tree of it no Tree; TOO_LARGE for a tree that is not looked into; STORE_UNAVAILABLE
   */
  async of(owner: Owner, value: Uint8Array, signal: AbortSignal): Promise<readonly Digest[]> {
    const store = this.#storeOf(viewOf(owner));
    const { files, trees } = this.#referencesOf(value);
    const all = new Set(files);
    for (const { tree, root } of trees) {
      all.add(tree);
      if (root !== undefined) all.add(root);
      for (const digest of await this.#ofTree(tree, root !== undefined, store, signal)) all.add(digest);
    }
    return [...all];
  }

  /** Whether all that the value needs is there for its owner; what is there counts as used now. @throws {Fault} STORE_UNAVAILABLE */
  async areThere(owner: Owner, value: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const store = this.#storeOf(viewOf(owner));
    try {
      const { files, trees } = this.#referencesOf(value);
      const named = trees.flatMap(({ tree, root }) => (root === undefined ? [tree] : [tree, root]));
      if ((await store.findMissing([...files, ...named], signal)).length > 0) return false;
      for (const { tree, root } of trees) {
        const inside = await this.#ofTree(tree, root !== undefined, store, signal);
        if ((await store.findMissing([...inside], signal)).length > 0) return false;
      }
      return true;
    } catch (error) {
      // A tree that is gone, damaged or no tree: the entry promises what is not there. A store in trouble is not that.
      if (error instanceof Fault && PROMISED_IN_VAIN.has(error.code)) return false;
      throw error;
    }
  }

  #referencesOf(value: Uint8Array): References {
    const known = this.#named.get(value);
    if (known !== undefined) return known;
    const found = referencesOf(value);
    this.#named.set(value, found);
    return found;
  }

  async #ofTree(tree: Digest, withDirectories: boolean, store: BlobStore, signal: AbortSignal): Promise<ReadonlySet<Digest>> {
    const name = `${tree}${withDirectories ? '+' : ''}`;
    const before = this.#known.get(name);
    if (before !== undefined) return before;
    if (sizeOf(tree) > TREE_BYTES_MAX) throw new Fault('TOO_LARGE', `The tree ${tree} has more than ${TREE_BYTES_MAX} bytes`);
    using _ = await this.#reading.take(sizeOf(tree), signal);
    const known = this.#known.get(name); // since then, by who was before us
    if (known !== undefined) return known;
    const bytes = tree === EMPTY_DIGEST ? new Uint8Array(0) : await blobReader(store, TREE_BYTES_MAX)(tree, signal);
    const found = referencesOfTree(bytes, withDirectories);
    this.#known.set(name, found);
    this.#remembered += found.size + 1;
    for (const [oldest, references] of this.#known) {
      if (this.#remembered <= REMEMBERED) break;
      this.#known.delete(oldest);
      this.#remembered -= references.size + 1;
    }
    return found;
  }
}

const PROMISED_IN_VAIN: ReadonlySet<string> = new Set(['BLOB_UNKNOWN', 'BLOB_CORRUPT', 'BAD_REQUEST', 'TOO_LARGE']);
