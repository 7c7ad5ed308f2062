import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isFault } from '../../base/fault.ts';
import { sizeOf, type Digest } from '../../cache/digest.ts';
import { diffTrees, type TreeDelta } from '../../cache/layer/diff.ts';
import { linkTree } from '../../cache/layer/link-tree.ts';
import { DirectoryReader } from '../../cache/tree/directory-reader.ts';
import { materialise } from '../../cache/tree/materialise.ts';
import { removeTree } from '../workspace/remove.ts';
import type { CopyParts } from './copies.ts';
import { normalise, reshape } from './reshape.ts';
import type { Rung } from './rung.ts';
import type { TierState, TreeLease } from './tier.ts';

/** Local trees that are compared with a wanted one; each comparison reads the directories that differ. */
const COMPARED_COUNT_MAX = 4;
/** Beyond this much difference a tree is made anew. */
const CHANGES_COUNT_MAX = 100_000;
/** Changes for each entry that stays, an unchanged directory being one, up to which a tree counts as similar whatever it holds. */
const CHANGES_PER_KEPT = 8;
/** And the share of its bytes that has to stay otherwise. */
const KEPT_BYTES_SHARE = 0.5;

/** What trees are made of, of one view. */
export type TreeParts = CopyParts & {
  /** Bytes fetched from the store so far. */
  readonly bytesIn: () => number;
  /** Has the directories of the wanted tree near, for one that is not made of another. */
  readonly bringTree: () => Promise<void>;
};

/**
 * A tree of the tier on disk: `<root>.<bytes>.<place>/t/<where it is to appear>`. An overlay cannot show a directory at a path of one's
 * choosing, so that a tree lies below the names of its place; the same tree at two places is there twice, by links.
 */
type LocalTree = { readonly key: string; readonly root: Digest; readonly bytes: number; readonly place: string };

const NAME = /^([0-9a-f]{64}-[0-9]+)\.([0-9]+)\.([0-9a-f]{16})$/;

/** The bytes of a tree by its directory's name; undefined where it is none. */
export function treeBytes(name: string): number | undefined {
  const bytes = NAME.exec(name)?.[2];
  return bytes === undefined ? undefined : Number(bytes);
}

/** The whole trees of one partition, at `directory`. */
export class TierTrees {
  readonly #directory: string;
  readonly #state: TierState;

  constructor(directory: string, state: TierState) {
    this.#directory = directory;
    this.#state = state;
  }

  /** The tree, to appear at `at`: as it is there, or made of what is there and of what has to be fetched. */
  async lease(root: Digest, at: string, parts: TreeParts, signal: AbortSignal): Promise<TreeLease> {
    const { index, making } = this.#state;
    const place = placeOf(at);
    for (;;) {
      const there = this.#list().find((tree) => tree.root === root && tree.place === place);
      if (there !== undefined && index.use(there.key)) return leaseOf(there.key, at, 'overlay', index.pin(there.key));
      const target = path.join(this.#directory, `${root}.${place}`);
      const other = making.get(target);
      if (other !== undefined) {
        await other.catch(() => {}); // its own caller gets the error
        signal.throwIfAborted();
        continue;
      }
      const made = this.#make(root, at, parts, signal).finally(() => making.delete(target));
      making.set(target, made);
      return await made;
    }
  }

  /**
   * Takes over a directory that holds the tree, made by somebody who has left it; it is gone from where it was. Without effect where the
   * tree is there already, or the directory on another file system.
   */
  async adopt(from: string, root: Digest, at: string, bytes: number): Promise<void> {
    if (this.#list().some((tree) => tree.root === root)) return;
    const aside = this.#state.newPath();
    try {
      fs.mkdirSync(path.dirname(path.join(aside, 't', at)), { recursive: true, mode: 0o755 });
      fs.renameSync(from, path.join(aside, 't', at));
      await normalise(path.join(aside, 't', at));
      this.#appear(aside, root, at, bytes)[Symbol.dispose]();
    } finally {
      await removeTree(aside);
    }
  }

  async #make(root: Digest, at: string, parts: TreeParts, signal: AbortSignal): Promise<TreeLease> {
    using _slot = await this.#state.slots.take(1, signal);
    const aside = this.#state.newPath();
    const inner = path.join(aside, 't', at);
    const before = parts.bytesIn();
    try {
      fs.mkdirSync(path.dirname(inner), { recursive: true, mode: 0o755 });
      const near = await this.#nearest(root, parts, signal);
      const changed = near === undefined ? undefined : await this.#madeOf(near, inner, parts, signal);
      if (near !== undefined && changed !== undefined) {
        const bytes = near.tree.bytes + bytesOf(near.delta);
        return leaseOf(this.#keyOf(root, at, bytes), at, changed, this.#appear(aside, root, at, bytes));
      }
      const { readDirectory, bringDirectories, placeFiles } = parts;
      if (near === undefined) await parts.bringTree();
      const { bytes } = await materialise(root, inner, { readDirectory, bringDirectories, placeFile: noSingleFiles, placeFiles }, signal);
      const rung = parts.bytesIn() > before ? 'fetch' : 'links';
      return leaseOf(this.#keyOf(root, at, bytes), at, rung, this.#appear(aside, root, at, bytes));
    } finally {
      await removeTree(aside);
    }
  }

  /** The local tree from which the fewest changes lead to `root`, unless most of it would change. */
  async #nearest(root: Digest, parts: TreeParts, signal: AbortSignal): Promise<Near | undefined> {
    const reader = new DirectoryReader(parts.readDirectory, parts.bringDirectories);
    let best: Near | undefined;
    const trees = this.#list().toSorted((a, b) => this.#state.index.rank(b.key) - this.#state.index.rank(a.key));
    for (const tree of trees.slice(0, COMPARED_COUNT_MAX)) {
      const limit = best === undefined ? CHANGES_COUNT_MAX : changesOf(best.delta);
      const delta = await diffTrees(tree.root, root, reader, limit, signal).catch((error: unknown) => {
        // Of a tree that is no longer stored, nothing can be told.
        if (isFault(error, 'BLOB_UNKNOWN')) return undefined;
        throw error;
      });
      if (delta === undefined || !isSimilar(tree, delta)) continue;
      if (best === undefined || changesOf(delta) < changesOf(best.delta)) best = { tree, delta, directory: this.#innerOf(tree) };
    }
    return best;
  }

  /** Makes the tree at `inner` of a similar one, which is moved there if nobody uses it, else lends its files; undefined where neither can be. */
  async #madeOf(near: Near, inner: string, parts: TreeParts, signal: AbortSignal): Promise<Rung | undefined> {
    const { index, writers, onUnusable, newPath } = this.#state;
    const { tree, directory, delta } = near;
    if (directory === undefined) return undefined;
    if (index.takeOut(tree.key)) {
      const rest = newPath();
      fs.renameSync(tree.key, rest);
      fs.renameSync(path.join(rest, path.relative(tree.key, directory)), inner);
      await removeTree(rest);
      await reshape(inner, delta, parts, signal);
      return 'delta';
    }
    if (!index.has(tree.key)) return undefined;
    using _held = index.pin(tree.key);
    const before = parts.bytesIn();
    try {
      await linkTree(directory, inner, writers, signal);
    } catch (error) {
      signal.throwIfAborted();
      onUnusable(tree.key, error);
      await removeTree(inner);
      return undefined;
    }
    // What goes is still in the other tree, whose files these are.
    await reshape(inner, delta, { placeFiles: parts.placeFiles, salvage: () => {} }, signal);
    return parts.bytesIn() > before ? 'fetch' : 'links';
  }

  #appear(aside: string, root: Digest, at: string, bytes: number): Disposable {
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const target = this.#keyOf(root, at, bytes);
    fs.renameSync(aside, target);
    return this.#state.added(target, bytes);
  }

  #keyOf(root: Digest, at: string, bytes: number): string {
    return path.join(this.#directory, `${root}.${bytes}.${placeOf(at)}`);
  }

  #list(): LocalTree[] {
    if (!fs.existsSync(this.#directory)) return [];
    return fs.readdirSync(this.#directory).flatMap((name) => {
      const [, root, bytes, place] = NAME.exec(name) ?? [];
      const key = path.join(this.#directory, name);
      // The name was made from a digest.
      return root === undefined || place === undefined || !this.#state.index.has(key)
        ? []
        : [{ key, root: root as Digest, bytes: Number(bytes), place }];
    });
  }

  /** Where the tree itself begins: below directories of one entry each, as many as its place has names. */
  #innerOf(tree: LocalTree): string | undefined {
    for (let at = path.join(tree.key, 't'), depth = 0; depth < 64; depth += 1) {
      const [only, ...more] = fs.existsSync(at) ? fs.readdirSync(at) : [];
      if (only === undefined || more.length > 0) return undefined;
      at = path.join(at, only);
      if (placeOf(path.relative(path.join(tree.key, 't'), at)) === tree.place) return at;
    }
    return undefined;
  }
}

type Near = { readonly tree: LocalTree; readonly delta: TreeDelta; readonly directory: string | undefined };

/** Whether a tree is better changed than kept: in few entries, or in less than half of it. */
function isSimilar({ bytes }: LocalTree, delta: TreeDelta): boolean {
  if (changesOf(delta) <= CHANGES_PER_KEPT * delta.keptCount) return true;
  const removed = delta.removed.reduce((sum, { file }) => sum + (file === undefined ? 0 : sizeOf(file.digest)), 0);
  return delta.keptCount > 0 && bytes - removed >= KEPT_BYTES_SHARE * bytes;
}

function changesOf(delta: TreeDelta): number {
  return delta.files.length + delta.links.length + delta.directories.length + delta.removed.length;
}

function bytesOf(delta: TreeDelta): number {
  let bytes = 0;
  for (const { file } of delta.files) bytes += sizeOf(file.digest);
  for (const { file } of delta.removed) if (file !== undefined) bytes -= sizeOf(file.digest);
  return bytes;
}

function leaseOf(key: string, at: string, rung: Rung, pin: Disposable): TreeLease {
  return { path: path.join(key, 't', at), rung, [Symbol.dispose]: () => pin[Symbol.dispose]() };
}

function placeOf(at: string): string {
  return createHash('sha256').update(at).digest('hex').slice(0, 16);
}

async function noSingleFiles(): Promise<void> {
  throw new Error('files of trees are placed together');
}
