import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import type { SaveOptions } from '../../cache/layer/save.ts';
import type { TierView } from '../tier/tier.ts';
import { baseAbove, storeDirectory, type WorkspaceView } from './view.ts';

/** A directory of a workspace as it was stored. */
export type SavedTree = {
  /** Its root's Directory. */
  readonly root: Digest;
  /** The REAPI Tree message that holds all its directories; stored too. */
  readonly tree: Digest;
  /** Bytes of all files, those that are there twice counted twice. */
  readonly bytes: number;
  /** Bytes that had to be sent: what the store had was not. */
  readonly sentBytes: number;
  /** Files that had to be read, because they may have changed since they were put there. */
  readonly hashedCount: number;
};

export type { SaveOptions };

/** What is saved, and what the tier can do with what lies there once the workspace is given up. */
export type Save = {
  readonly saved: SavedTree;
  /** Whether the tree says nothing of its entries beyond content and the executable bit: the tier keeps only such ones. */
  readonly isPlain: boolean;
  readonly giveToTier: (tier: TierView) => Promise<void>;
};

/**
 * Stores the directory at `at`, relative to the root; undefined where there is nothing.
 * @throws {Fault} BAD_REQUEST where something else than a directory is there, or a link is on the way; as `saveTree`; as the store.
 */
export async function saveDirectory(
  view: WorkspaceView,
  at: string,
  store: BlobStore,
  options: SaveOptions,
  signal: AbortSignal,
): Promise<Save | undefined> {
  const above = baseAbove(view, at);
  if (above !== undefined) {
    throw new Fault('BAD_REQUEST', `"${at}" cannot be saved by itself: it lies in "${above}", which was not copied for this step`, {
      hint: 'Name the path among the placed ones when the workspace is prepared.',
    });
  }
  const absolute = path.join(view.root, at);
  if (!isThere(view.root, at)) return undefined;
  const stat = fs.lstatSync(absolute);
  if (stat.isCharacterDevice() && stat.rdev === 0 && view.bases.has(at)) return undefined; // removed
  if (!stat.isDirectory()) throw new Fault('BAD_REQUEST', `"${at}" is no directory, so it cannot be saved as one`, { field: 'paths' });
  const stored = await storeDirectory(view, at, store, options, signal);
  const { root, tree, bytes, sentBytes, hashedCount } = stored;
  const isPlain = options.modes !== 'full' && options.mtimes !== 'preserve' && options.hardLinks !== true;
  return {
    saved: { root, tree, bytes, sentBytes, hashedCount },
    isPlain,
    async giveToTier(tier) {
      if (!isPlain) return;
      const base = view.bases.get(at);
      if (base?.root === root) return;
      // With a base, only what changed lies here; a local tree will become the new one with it.
      if (base?.kind === 'overlay') for (const [digest, file] of stored.files) tier.keep(file, digest);
      else await tier.adopt(absolute, root, at, bytes);
    },
  };
}

/** Whether something is at the path. @throws {Fault} BAD_REQUEST where a link is on the way: what it leads to is not the workspace's. */
function isThere(root: string, at: string): boolean {
  let absolute = root;
  for (const name of path.posix.dirname(at).split('/')) {
    absolute = path.join(absolute, name);
    const stat = fs.lstatSync(absolute, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    if (stat.isSymbolicLink()) {
      throw new Fault('BAD_REQUEST', `"${at}" cannot be saved: a link is on the way to it`, {
        hint: 'Name the directory that it leads to.',
      });
    }
  }
  return fs.lstatSync(path.join(root, at), { throwIfNoEntry: false }) !== undefined;
}
