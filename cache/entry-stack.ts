import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { Keyring } from '../base/signing.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { entryActionCache } from './action-cache/entries.ts';
import { withEntryCounts } from './entries/counted.ts';
import { newEntryCounters, type EntryCounters } from './entries/counters.ts';
import { withCompleteEntries } from './entries/complete.ts';
import { Departures } from './entries/departures.ts';
import { diskEntryStore } from './entries/disk.ts';
import type { EntryParts, PurgedPacks, ScopeUsage } from './entries/entry-parts.ts';
import type { EntryStore } from './entries/entry-store.ts';
import { indexedPacks } from './entries/index-packs.ts';
import { Needs } from './entries/needs.ts';
import { objectQuotas, type IndexTotals } from './entries/object-quotas.ts';
import { objectEntryStore, type ObjectEntryOptions } from './entries/objects.ts';
import { withZoneFloor } from './entries/zone-floor.ts';
import type { DirTotals } from './lru-dir.ts';
import { besides, openOwnedDir, repeatedly, type Holding } from './owned-dir.ts';
import type { ObjectStore } from './objects/object-store.ts';
import type { PackStore } from './packs/open.ts';
import type { FloorOf, QuotaOf } from './quotas.ts';
import type { StoreIndex } from './store-index/store-index.ts';
import type { StoreOf } from './store-view.ts';

const QUOTA_EVERY_MS = 30_000;

export type EntryStackOptions = {
  readonly keys: Keyring;
  readonly quotaOf: QuotaOf;
  readonly floorOf: FloorOf;
  readonly storeOf: StoreOf;
  /** What owners have of blobs. */
  readonly blobHoldings: (signal: AbortSignal) => Promise<readonly Holding[]>;
};

/** Named entries as they are served. */
export interface EntryStack extends AsyncDisposable {
  readonly parts: EntryParts;
  readonly actionCache: ActionCache;
  /** What the entries came to, since the process began. */
  readonly counters: EntryCounters;
  /** Of the directory of records, where they lie in files. */
  readonly totals: (() => DirTotals) | undefined;
  /** What quotas took, and what the index has in all; undefined where entries lie in files. */
  readonly indexed: (() => IndexTotals) | undefined;
}

export type DiskEntryOptions = EntryStackOptions & {
  readonly dir: string;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
  /** As `OwnedDirOptions.keepMs`. */
  readonly keepMs?: number | undefined;
};

/** Composes the entries over files below `dir`. @throws {Fault} STORE_UNAVAILABLE */
export function openDiskEntries(options: DiskEntryOptions, env: Env): EntryStack {
  const departures = new Departures(env.clock);
  const records = openOwnedDir(
    {
      dir: join(options.dir, 'entries'),
      limitBytes: options.maxResultBytes,
      durability: options.durability,
      keepMs: options.keepMs,
      limitOf: (owner) => {
        const quota = options.quotaOf(owner);
        return quota === undefined ? undefined : { bytes: options.maxResultBytes, fileCount: quota.entryCount };
      },
      onEvicted: (partition, name, why) => departures.noteFile(partition, name, why === 'room' ? 'evicted' : 'unused'),
    },
    env,
  );
  const counters = newEntryCounters();
  const signed = diskEntryStore(records.files, options.keys, env, counters); // believes no record that was not signed for its name
  const holdings = () => records.holdings();
  const seen = { counters, totals: () => records.files.totals(), indexed: undefined };
  return layered(
    options,
    { signed, departures, holdings, packs: undefined, ...seen, close: async () => records[Symbol.asyncDispose]() },
    env,
  );
}

export type ObjectEntryStackOptions = EntryStackOptions & {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly packsOf: PackStore['packsOf'];
  /** How often quotas are looked at. @default 30 seconds */
  readonly quotaEveryMs?: number;
};

/** What entries in a bucket stand on; also for `restoreEntries`. `storeOf` must believe nothing that the bucket does not have. */
export function objectEntryOptions(
  { objects, index, keys, storeOf, packsOf }: Pick<ObjectEntryStackOptions, 'objects' | 'index' | 'keys' | 'storeOf' | 'packsOf'>,
  env: Env,
): ObjectEntryOptions {
  const needs = new Needs(storeOf);
  return { objects, index, keys, needsOf: (at, value, signal) => needs.of(at.owner, value, signal), packsOf, env };
}

/** As `openDiskEntries`, over a bucket and its index. `storeOf` of what it returns refuses uploads of owners far over their quota. */
export function openObjectEntries(options: ObjectEntryStackOptions, env: Env): EntryStack & { readonly storeOf: StoreOf } {
  const { index, objects, quotaOf, quotaEveryMs = QUOTA_EVERY_MS } = options;
  const departures = new Departures(env.clock);
  const counters = newEntryCounters();
  const signed = objectEntryStore({ ...objectEntryOptions(options, env), counters });
  const quotas = objectQuotas({ index, objects, quotaOf, departures, env });
  const holdings = async (signal: AbortSignal) =>
    (await signed.usage(signal)).map(({ owner, entryCount: count }) => ({ owner, bytes: 0, count, evictedCount: quotas.evictedOf(owner) }));
  const closing = new AbortController();
  const enforced = repeatedly(quotaEveryMs, () => quotas.enforce(closing.signal), 'quotas-not-enforced', closing.signal, env);
  const close = async () => {
    closing.abort();
    await enforced;
  };
  const packs = indexedPacks(index, env);
  const seen = { counters, totals: undefined, indexed: () => quotas.totals() };
  const entries = layered(options, { signed, departures, holdings, packs, ...seen, close }, env);
  return { ...entries, storeOf: quotas.guarded(options.storeOf) };
}

/** What the owners of an index have of blobs. */
export async function packHoldings(index: StoreIndex, signal: AbortSignal): Promise<readonly Holding[]> {
  return (await index.usage(signal)).map(({ owner, packBytes, packCount }) => ({
    owner,
    bytes: packBytes,
    count: packCount,
    evictedCount: 0,
  }));
}

type Base = Pick<EntryStack, 'counters' | 'totals' | 'indexed'> & {
  readonly signed: EntryStore;
  readonly departures: Departures;
  readonly holdings: (signal: AbortSignal) => Promise<readonly Holding[]>;
  readonly packs: PurgedPacks | undefined;
  readonly close: () => Promise<void>;
};

function layered({ quotaOf, floorOf, storeOf, blobHoldings }: EntryStackOptions, base: Base, env: Env): EntryStack {
  const { departures, counters, totals, indexed } = base;
  const raw = withZoneFloor(base.signed, floorOf, counters); // above the signatures: they say the zone
  const complete = withCompleteEntries(raw, new Needs(storeOf), departures, env.log); // what is not complete is not seen
  const counted = withEntryCounts(complete, departures, counters); // outermost: what is asked for, and not on its way
  const usage = async (signal: AbortSignal): Promise<readonly ScopeUsage[]> =>
    besides(await base.holdings(signal), await blobHoldings(signal)).map(({ owner, left: entries, right: blobs }) => ({
      owner,
      entryCount: entries?.count ?? 0,
      blobBytes: blobs?.bytes ?? 0,
      quota: quotaOf(owner),
      evictedEntryCount: entries?.evictedCount ?? 0,
      evictedBlobCount: blobs?.evictedCount ?? 0,
    }));
  return {
    parts: { complete: counted, raw, departures, usage, packs: base.packs },
    actionCache: entryActionCache(complete, counted),
    ...{ counters, totals, indexed },
    [Symbol.asyncDispose]: base.close,
  };
}
