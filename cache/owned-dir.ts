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
  readonly onEvicted?: (partition: string, name: string, why: 'room' | 'unused') => void;
};

/** @throws {Fault} STORE_UNAVAILABLE */
export function openOwnedDir({ limitOf, onEvicted, ...options }: OwnedDirOptions, env: Env): OwnedDir {
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
    [Symbol.asyncDispose]: async () => files[Symbol.asyncDispose](),
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
