import fs from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import type { ReadBlob } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../../cache/digest.ts';
import { diffTrees } from '../../cache/layer/diff.ts';
import { saveTree, type TreeSink } from '../../cache/layer/save.ts';
import { statTree, type StatTable } from '../../cache/layer/stat-table.ts';
import { DirectoryReader, type BringBlobs } from '../../cache/tree/directory-reader.ts';
import { removeTree } from '../workspace/remove.ts';
import { normalise, reshape, type Shaper } from './reshape.ts';
import type { TierState } from './tier.ts';

/** A copy of a tree that a step had for itself: the tree that it was at last, as far as is known, and what its files looked like then. */
export type CopyOfTree = { readonly root: Digest; readonly table: StatTable };

/** A copy that is in its new place, and whether it was the wanted tree already. */
export type TakenCopy = { readonly table: StatTable; readonly rung: 'present' | 'delta' };

type Parked = CopyOfTree & { readonly key: string; readonly at: string };

/** More would be looked through for nothing: steps at one place want few different trees. */
const PARKED_COUNT_MAX = 64;
const CHANGES_COUNT_MAX = 100_000;

/** What copies are changed with. */
export type CopyParts = Shaper & { readonly readDirectory: ReadBlob; readonly bringDirectories: BringBlobs };

/**
 * Copies of trees that steps are done with, for the next step at the same path. Where nothing keeps steps from writing what they see, a
 * copy is not believed: every file is looked at, and those that changed are read, before another step gets it. Not kept over a restart.
 */
export class TierCopies {
  readonly #state: TierState;
  readonly #clock: Clock;
  #parked: Parked[] = [];

  constructor(state: TierState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  /** Copies that are known; each has a table of all its files in memory. */
  get count(): number {
    return this.#parked.length;
  }

  /** Forgets those that had to make room. */
  forgetGone(): void {
    this.#parked = this.#parked.filter((one) => this.#state.index.has(one.key));
  }

  /** Takes a directory over, which is gone from where it was. `root` is what it was saved as, or what it was before the step. */
  async park(directory: string, at: string, copy: CopyOfTree, parts: CopyParts, saved: boolean, signal: AbortSignal): Promise<void> {
    const key = this.#state.newPath();
    fs.renameSync(directory, key);
    try {
      await normalise(key);
      // Of a step that was not saved nobody knows what it left: the old table tells what it did not touch.
      const table = saved ? await statTree(key, copy.root, new DirectoryReader(parts.readDirectory), signal) : copy.table;
      if (saved) table.seal(this.#clock.now());
      this.forgetGone();
      while (this.#parked.length >= PARKED_COUNT_MAX) this.#state.drop(this.#parked.shift()?.key ?? key);
      this.#parked.push({ ...copy, table, key, at });
      this.#state.added(key, table.bytes)[Symbol.dispose]();
    } catch (error) {
      await removeTree(key);
      throw error;
    }
  }

  /** Puts a copy to `into` and makes it the tree `root`, where there is one at that path which is not too different. */
  async take(root: Digest, at: string, into: string, parts: CopyParts, signal: AbortSignal): Promise<TakenCopy | undefined> {
    const mine = this.#parked.filter((one) => one.at === at && this.#state.index.has(one.key));
    const chosen = mine.findLast((one) => one.root === root) ?? mine.at(-1);
    if (chosen === undefined || !this.#state.index.takeOut(chosen.key)) return undefined;
    this.#parked = this.#parked.filter((one) => one !== chosen);
    const reader = new DirectoryReader(parts.readDirectory, parts.bringDirectories);
    const found = new Map<Digest, Uint8Array>();
    const sink: TreeSink = { file: async () => {}, directory: async (digest, bytes) => void found.set(digest, bytes) };
    try {
      const bases = new Map([['', { kind: 'stats' as const, root: chosen.root, table: chosen.table }]]);
      const now = await saveTree({ top: chosen.key, bases, reader, opaque: new Set() }, '', sink, {}, signal);
      if (now.root === root) {
        const table = now.hashedCount === 0 ? chosen.table : await statTree(chosen.key, root, reader, signal);
        fs.renameSync(chosen.key, into);
        return { table, rung: 'present' };
      }
      const both = new DirectoryReader(async (digest, stop) => found.get(digest) ?? parts.readDirectory(digest, stop));
      const delta = now.root === EMPTY_DIGEST ? undefined : await diffTrees(now.root, root, both, CHANGES_COUNT_MAX, signal);
      if (delta === undefined) return undefined;
      await reshape(chosen.key, delta, parts, signal);
      const table = await statTree(chosen.key, root, reader, signal);
      fs.renameSync(chosen.key, into);
      return { table, rung: 'delta' };
    } catch (error) {
      signal.throwIfAborted();
      // Somebody has left in it what no tree can hold, or removes it: a new copy is made.
      this.#state.onUnusable(chosen.key, error);
      return undefined;
    } finally {
      if (fs.existsSync(chosen.key)) await removeTree(chosen.key);
    }
  }
}
