import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../base/env.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { ByteBudget } from '../../cache/byte-budget.ts';
import { parseDigest, type Digest } from '../../cache/digest.ts';
import { openFileWriters, type FileWriters } from '../../cache/layer/file-writers.ts';
import type { FileSource } from '../../cache/tree/materialise.ts';
import { removeTree } from '../workspace/remove.ts';
import { TierCopies, type CopyOfTree, type TakenCopy } from './copies.ts';
import { isBelievable, noteOpening } from './opened.ts';
import { RungCounts, type Rung } from './rung.ts';
import { openTierSource, type Partition } from './source.ts';
import { TierIndex } from './tier-index.ts';
import { TreeMessages, isTreeMessage } from './tree-messages.ts';
import { treeBytes } from './trees.ts';

/** What an agent keeps of the data plane on its own disk, for the next step. */
export interface LocalTier extends AsyncDisposable {
  /** Bytes that blobs and trees take; a blob that is also in a tree counts twice though its bytes are shared. */
  readonly usedBytes: number;
  /** Copies of trees that wait for the next step at their path. */
  readonly parkedCount: number;
  /** How trees came to their places. */
  readonly restores: RungCounts;
  /** The tier of one scope in front of `store`, for one attempt. Scopes share nothing. */
  view(scope: string, store: BlobStore): TierView;
}

/** Reads through the tier. Bytes are verified when they come in; what is read whole is verified again. */
export interface TierView extends FileSource {
  /** Bytes fetched from the store so far. */
  readonly bytesIn: number;
  /**
   * The tree of a directory, at a path that ends with `at` (not ''), made if it is not there, kept until the lease is disposed of. Nobody
   * may write into it: its files share their bytes with the tier's blobs. A similar local tree that nobody uses becomes it; one that is in
   * use lends its files as links. `message` is as for `bringTree`.
   * @throws {Fault} as `materialise`.
   */
  tree(root: Digest, at: string, signal: AbortSignal, message?: Digest): Promise<TreeLease>;
  /**
   * Takes over a directory that a step has left: it holds the tree `root`, with `bytes` in files, and is gone from where it was. Only for
   * directories that nothing can write any more.
   */
  adopt(directory: string, root: Digest, at: string, bytes: number): Promise<void>;
  /** Takes over a copy of a tree that was a step's own, for the next step at that path. `saved`: it was saved as that tree. */
  park(directory: string, at: string, copy: CopyOfTree, saved: boolean, signal: AbortSignal): Promise<void>;
  /**
   * Has all directories of a tree near, by the Tree message that holds them: one blob in place of thousands, level after level. Without
   * effect where the tier knows the tree, or the message is unknown or cannot be had: then they come by themselves. For trees of which
   * little is there: else they are fewer bytes. @throws the reason of `signal` only
   */
  bringTree(root: Digest, message: Digest | undefined, signal: AbortSignal): Promise<void>;
  /** Moves a parked copy to `into` and makes it that tree; undefined where there is none that could be. */
  take(root: Digest, at: string, into: string, signal: AbortSignal): Promise<TakenCopy | undefined>;
  /** Waits until one more tree may be made by the caller itself. */
  slot(signal: AbortSignal): Promise<Disposable>;
  /** Keeps a directory's message that no store has. */
  hold(digest: Digest, bytes: Uint8Array): void;
  /** Takes over a file that a step has left and that holds the blob; without effect where the tier has it. */
  keep(file: string, digest: Digest): void;
}

/** Something in the tier that stays at `path` until the lease is disposed of. */
export type TierLease = Disposable & { readonly path: string };

/** A whole tree, and how it came to be there. */
export type TreeLease = TierLease & { readonly rung: Rung };

export type TierOptions = {
  /** Made if missing. One process uses it at a time. */
  readonly dir: string;
  /** The least recently used blobs and trees go beyond this; what is in use stays, even if it alone is more. */
  readonly maxBytes: number;
  /** Whether no step can write below `dir` (the sandbox's trait `isolatesFiles`): else every byte is looked at again before it is used. */
  readonly guarded: boolean;
  readonly env: Env;
};

/** Trees that are made at the same time; more would share the same disk and link. */
const TREES_AT_ONCE = 4;

/** Where things of the tier are, and who is making which. Shared by the views. */
export type TierState = {
  readonly index: TierIndex;
  /** Blobs and trees that are being made, by path. */
  readonly making: Map<string, Promise<unknown>>;
  readonly newPath: () => string;
  /** Counts a finished thing, and makes room for it at the cost of others; it stays at least until the pin is disposed of. */
  readonly added: (target: string, bytes: number) => Disposable;
  /** Takes a thing out that turned out bad. */
  readonly drop: (target: string) => void;
  /** Whether what lies there is what was put there. */
  readonly guarded: boolean;
  /** Makes many files beside the main thread. */
  readonly writers: FileWriters;
  /** Whoever makes a whole tree holds one of these meanwhile: memory goes with their number. */
  readonly slots: ByteBudget;
  /** Something that was kept was of no use, and why. */
  readonly onUnusable: (target: string, error: unknown) => void;
};

/**
 * Opens the tier and takes over what is there. Things are named by their digest and appear by a rename, so that what a
 * killed process left half done is told apart and removed. The order of use is not kept over a restart. What cannot be believed is not
 * taken over: see `isBelievable`.
 */
export function openTier({ dir, maxBytes, guarded, env }: TierOptions): LocalTier {
  const incoming = path.join(dir, 'incoming');
  const trash = path.join(dir, 'trash');
  const index = new TierIndex();
  const writers = openFileWriters(env.clock);
  const { throwAway, removeSoon, removed } = openTrash(trash, env);
  for (const name of putAside({ dir, guarded, env })) removeSoon(name);
  loadIndex(path.join(dir, 'scopes'), index, removeSoon);
  for (const key of index.evictTo(maxBytes)) throwAway(key);

  const state: TierState = {
    index,
    making: new Map(),
    newPath: () => path.join(incoming, crypto.randomUUID()),
    added(target, bytes) {
      index.add(target, bytes);
      const pin = index.pin(target);
      for (const key of index.evictTo(maxBytes)) throwAway(key);
      return pin;
    },
    drop(target) {
      index.remove(target);
      throwAway(target);
    },
    guarded,
    writers,
    slots: new ByteBudget(TREES_AT_ONCE),
    onUnusable: (target, error) => env.log.warn('layer-not-usable', { path: target, error }),
  };
  const partitions = new Map<string, Partition>();
  const partitionOf = (name: string): Partition => {
    const known = partitions.get(name);
    if (known !== undefined) return known;
    // A scope that is over comes back no more: what it had in memory goes with its copies.
    for (const { copies } of partitions.values()) copies.forgetGone();
    const home = path.join(dir, 'scopes', name);
    const own = { home, copies: new TierCopies(state, env.clock), messages: new TreeMessages(home, state) };
    partitions.set(name, own);
    return own;
  };
  return {
    get usedBytes() {
      return index.totalBytes;
    },
    get parkedCount() {
      return partitions.values().reduce((sum, { copies }) => sum + copies.count, 0);
    },
    restores: new RungCounts(),
    view(scope, store) {
      return openTierSource(partitionOf(scopeName(scope)), store, state);
    },
    async [Symbol.asyncDispose]() {
      await writers[Symbol.asyncDispose]();
      await removed();
    },
  };
}

/** Gives what cannot be used again another name, so that the directory can be used at once; all that is to be removed. */
function putAside({ dir, guarded, env }: Omit<TierOptions, 'maxBytes'>): readonly string[] {
  const scopes = path.join(dir, 'scopes');
  const opened = path.join(dir, 'opened.json');
  const leftOver = [path.join(dir, 'incoming'), path.join(dir, 'trash')];
  if (!isBelievable(opened, guarded)) {
    leftOver.push(scopes);
    const hint = 'Steps could have written it, or the host was started anew: nothing in it is used again.';
    if (fs.existsSync(scopes)) env.log.info('tier-begun-anew', { dir, hint });
  }
  for (const at of leftOver) {
    if (fs.existsSync(at)) fs.renameSync(at, `${at}.${crypto.randomUUID()}`);
    fs.mkdirSync(at, { recursive: true, mode: 0o700 });
  }
  noteOpening(opened, guarded);
  return fs.readdirSync(dir).flatMap((name) => (/^(incoming|trash|scopes)\./.test(name) ? [path.join(dir, name)] : []));
}

type Trash = {
  /** Gone at once from where it was; removed by and by. */
  readonly throwAway: (target: string) => void;
  readonly removeSoon: (target: string) => void;
  /** Waits for all removals so far. */
  readonly removed: () => Promise<unknown>;
};

function openTrash(trash: string, env: Env): Trash {
  const removals = new Set<Promise<void>>();
  const removeSoon = (target: string) => {
    const removal: Promise<void> = removeTree(target)
      .catch((error: unknown) => env.log.warn('tier-not-removed', { path: target, error }))
      .finally(() => removals.delete(removal));
    removals.add(removal);
  };
  const throwAway = (target: string) => {
    const aside = path.join(trash, crypto.randomUUID());
    try {
      fs.renameSync(target, aside);
    } catch (error) {
      env.log.warn('tier-not-removed', { path: target, error });
      return;
    }
    removeSoon(aside);
  };
  return { throwAway, removeSoon, removed: () => Promise.all(removals) };
}

/** A directory name that no two scopes share, whatever is in theirs. */
function scopeName(scope: string): string {
  return createHash('sha256').update(scope).digest('hex').slice(0, 32);
}

/** Blobs are `blobs/<2 hex>/<digest>`; trees are as `trees.ts` says, their messages as `tree-messages.ts`. */
function loadIndex(scopes: string, index: TierIndex, remove: (target: string) => void): void {
  for (const scope of listNames(scopes)) {
    const blobs = path.join(scopes, scope, 'blobs');
    for (const fan of listNames(blobs)) {
      for (const name of listNames(path.join(blobs, fan))) {
        if (parseDigest(name) !== undefined) index.add(path.join(blobs, fan, name), Number(name.slice(65)));
      }
    }
    const messages = path.join(scopes, scope, 'messages');
    for (const name of listNames(messages)) {
      if (isTreeMessage(name)) index.add(path.join(messages, name), fs.statSync(path.join(messages, name)).size);
    }
    const trees = path.join(scopes, scope, 'trees');
    for (const name of listNames(trees)) {
      const bytes = treeBytes(name);
      if (bytes === undefined) remove(path.join(trees, name));
      else index.add(path.join(trees, name), bytes);
    }
  }
}

function listNames(directory: string): string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}
