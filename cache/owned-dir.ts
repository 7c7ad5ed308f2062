import { setTimeout as sleep } from 'node:timers/promises';
import type { Env } from '../base/env.ts';
import { LruDir, type PartitionLimit } from './lru-dir.ts';
import { groupsOf, ownerOf } from './owner.ts';
import { ownerText } from './store-index/order.ts';
import type { Owner } from './store-index/store-index.ts';

/** What one owner has of something. Evictions are counted since this process began. */
export type Holding = { readonly owner: Owner; readonly bytes: number; readonly count: number; readonly evictedCount: number };

/** A bounded directory with a partition per owner, each held to its share and its quota. */
export interface OwnedDir extends AsyncDisposable {
  readonly files: LruDir;
  /** Every owner that has or had something. */
  holdings(): Promise<readonly Holding[]>;
}

export type OwnedDirOptions = {
  readonly dir: string;
  readonly limitBytes: number;
  readonly durability: 'process' | 'power';
  readonly limitOf: (owner: Owner) => PartitionLimit | undefined;
  /** What nobody has used for so long goes. @default it stays while there is room */
  readonly keepMs?: number | undefined;
  readonly onEvicted?: (partition: string, name: string, why: 'room' | 'unused') => void;
};

/** How often what nobody uses is looked for. */
const LOOK_MS = 3_600_000;

/** @throws {Fault} STORE_UNAVAILABLE */
export function openOwnedDir({ limitOf, keepMs, onEvicted, ...options }: OwnedDirOptions, env: Env): OwnedDir {
  const evicted = new Map<string, number>();
  const files = LruDir.open({
    ...options,
    groupsOf,
    limitOf: (partition) => {
      const owner = ownerOf(partition);
      return owner === undefined ? undefined : limitOf(owner);
    },
    onEvicted: (partition, name, why) => {
      evicted.set(partition, (evicted.get(partition) ?? 0) + 1);
      onEvicted?.(partition, name, why);
    },
    env,
  });
  const closing = new AbortController();
  const removeUnused = async (keptMs: number) => {
    const count = await files.evictUnused(env.clock.now() - keptMs);
    if (count > 0) env.log.info('unused-removed', { dir: options.dir, files: count });
  };
  const removing =
    keepMs === undefined ? undefined : repeatedly(LOOK_MS, () => removeUnused(keepMs), 'unused-not-removed', closing.signal, env);
  return {
    files,
    async holdings() {
      await files.scanned();
      return [...new Set([...files.partitions(), ...evicted.keys()])].flatMap((partition) => {
        const owner = ownerOf(partition);
        if (owner === undefined) return [];
        const { bytes, fileCount } = files.usageOf(partition);
        return [{ owner, bytes, count: fileCount, evictedCount: evicted.get(partition) ?? 0 }];
      });
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await removing;
      await files[Symbol.asyncDispose]();
    },
  };
}

/** Two lists of holdings side by side, by owner; undefined where one has none. */
export function besides(
  left: readonly Holding[],
  right: readonly Holding[],
): readonly { readonly owner: Owner; readonly left: Holding | undefined; readonly right: Holding | undefined }[] {
  const [ofLeft, ofRight] = [left, right].map((holdings) => new Map(holdings.map((one) => [ownerText(one.owner), one])));
  const owners = new Map([...left, ...right].map(({ owner }) => [ownerText(owner), owner]));
  return [...owners]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([text, owner]) => ({ owner, left: ofLeft?.get(text), right: ofRight?.get(text) }));
}

/** Does the work now and then until the signal aborts. What fails is logged under `event`, and done again. */
export async function repeatedly(everyMs: number, work: () => Promise<void>, event: string, signal: AbortSignal, env: Env): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(everyMs, undefined, { signal, ref: false });
      await work();
    } catch (error) {
      if (!signal.aborted) env.log.warn(event, { error });
    }
  }
}
