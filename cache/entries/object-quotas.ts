import { randomBytes } from 'node:crypto';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { formatSizeBytes } from '../../base/quantity.ts';
import { expireEntry } from '../gc/expire.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Quota, QuotaOf } from '../quotas.ts';
import { ownerText } from '../store-index/order.ts';
import type { EntryKey, EntryRow, Owner, OwnerUsage, PackName, StoreIndex } from '../store-index/store-index.ts';
import type { StoreOf } from '../store-view.ts';
import type { Departures } from './departures.ts';

export type ObjectQuotaOptions = {
  readonly index: StoreIndex;
  readonly objects: ObjectStore;
  readonly quotaOf: QuotaOf;
  readonly departures: Departures;
  readonly env: Env;
};

/** Quotas of owners in a bucket. */
export interface ObjectQuotas {
  /**
   * Takes from each owner over its quota what it used least: entries beyond their count, and those whose packs do not fit into its
   * bytes together with the ones used later. Packs that nothing needs any more go as garbage does.
   * @throws {Fault} STORE_UNAVAILABLE
   */
  enforce(signal: AbortSignal): Promise<void>;
  /** Refuses uploads of owners that have more than twice their quota: garbage collection is behind, or they flood. */
  guarded(storeOf: StoreOf): StoreOf;
  evictedOf(owner: Owner): number;
  totals(): IndexTotals;
}

/** What the index had in all when it was last looked at; nothing before that. */
export type IndexTotals = {
  readonly evictedEntryCount: number;
  readonly held:
    | { readonly ownerCount: number; readonly packCount: number; readonly packBytes: number; readonly entryCount: number }
    | undefined;
};

/** What an owner may have in all, in quotas: what was taken from it stays until it is collected. */
const OVERHANG = 2;
const PAGE_COUNT = 500;
const CLAIM_MS = 5 * 60_000;

export function objectQuotas({ index, objects, quotaOf, departures, env }: ObjectQuotaOptions): ObjectQuotas {
  const holder = randomBytes(8).toString('hex');
  const evicted = new Map<string, number>();
  let overfull: ReadonlyMap<string, Quota> = new Map();
  let held: IndexTotals['held'];

  async function shrink(owner: Owner, quota: Quota, signal: AbortSignal): Promise<void> {
    const rows = await rowsOf(index, owner, signal);
    const sizes = await packSizes(index, owner, signal);
    const kept = new Set<PackName>();
    let [bytes, count, taken] = [0, 0, 0];
    for (const row of rows.toSorted((a, b) => b.usedAt - a.usedAt)) {
      const fresh = row.packs.filter((pack) => !kept.has(pack));
      const more = fresh.reduce((sum, pack) => sum + (sizes.get(pack) ?? 0), 0); // packs of scopes above are on their account
      if (count < quota.entryCount && bytes + more <= quota.blobBytes) {
        for (const pack of fresh) kept.add(pack);
        count += 1;
        bytes += more;
      } else if (await expireEntry(objects, index, { ...row.at, object: row.object }, signal)) {
        departures.note(row.at, 'evicted');
        taken += 1;
      }
    }
    evicted.set(ownerText(owner), (evicted.get(ownerText(owner)) ?? 0) + taken);
    if (taken > 0) env.log.info('quota-enforced', { ...owner, entries: taken, keptEntries: count, keptBytes: bytes });
  }

  return {
    async enforce(signal) {
      const usage = await index.usage(signal);
      held = sumOf(usage);
      const over = usage.flatMap(({ owner, packBytes, entryCount }) => {
        const quota = quotaOf(owner);
        return quota !== undefined && (packBytes > quota.blobBytes || entryCount > quota.entryCount) ? [{ owner, quota, packBytes }] : [];
      });
      overfull = new Map(
        over.filter(({ quota, packBytes }) => packBytes > OVERHANG * quota.blobBytes).map(({ owner, quota }) => [ownerText(owner), quota]),
      );
      if (over.length === 0 || !(await index.claim('quotas', holder, CLAIM_MS, signal))) return;
      for (const { owner, quota } of over) await shrink(owner, quota, signal);
    },
    guarded: (storeOf) => (view) => {
      const store = storeOf(view);
      return {
        traits: store.traits,
        get: (digest, range, signal) => store.get(digest, range, signal),
        findMissing: (digests, signal) => store.findMissing(digests, signal),
        async put(digest, source, signal) {
          const quota = view.writes === undefined ? undefined : overfull.get(ownerText({ project: view.project, scope: view.writes }));
          if (quota !== undefined) {
            throw new Fault(
              'STORE_FULL',
              `${view.project}/${view.writes} has more than ${OVERHANG} times its ${formatSizeBytes(quota.blobBytes)}`,
              {
                hint: 'What it used least goes; raise the quota of that scope where this is too little.',
                retryAfterMs: 60_000,
              },
            );
          }
          await store.put(digest, source, signal);
        },
      };
    },
    evictedOf: (owner) => evicted.get(ownerText(owner)) ?? 0,
    totals: () => ({ evictedEntryCount: [...evicted.values()].reduce((sum, count) => sum + count, 0), held }),
  };
}

function sumOf(usage: readonly OwnerUsage[]): NonNullable<IndexTotals['held']> {
  const sum = { ownerCount: usage.length, packCount: 0, packBytes: 0, entryCount: 0 };
  for (const { packCount, packBytes, entryCount } of usage) {
    sum.packCount += packCount;
    sum.packBytes += packBytes;
    sum.entryCount += entryCount;
  }
  return sum;
}

async function rowsOf(index: StoreIndex, { project, scope }: Owner, signal: AbortSignal): Promise<readonly EntryRow[]> {
  const all: EntryRow[] = [];
  for (let after: EntryKey | undefined; ;) {
    const page = await index.entries({ project, scope, state: 'published' }, after, PAGE_COUNT, signal);
    all.push(...page.map((row) => ({ ...row, record: new Uint8Array(0) })));
    after = page.at(-1)?.at;
    if (after === undefined) return all;
  }
}

async function packSizes(index: StoreIndex, owner: Owner, signal: AbortSignal): Promise<ReadonlyMap<PackName, number>> {
  const sizes = new Map<PackName, number>();
  for (let after: PackName | undefined; ;) {
    const page = await index.packs({ owner, state: 'live' }, after, PAGE_COUNT, signal);
    for (const { name, sizeBytes } of page) sizes.set(name, sizeBytes);
    after = page.at(-1)?.name;
    if (after === undefined) return sizes;
  }
}
