import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import type { Keyring } from '../base/signing.ts';
import type { ActionCache } from './action-cache/action-cache.ts';
import { entryActionCache } from './action-cache/entries.ts';
import { withCompleteEntries } from './entries/complete.ts';
import { Departures } from './entries/departures.ts';
import { diskEntryStore } from './entries/disk.ts';
import type { EntryParts, PurgedPacks, ScopeUsage } from './entries/entry-parts.ts';
import type { EntryStore } from './entries/entry-store.ts';
import { Needs } from './entries/needs.ts';
import { withZoneFloor } from './entries/zone-floor.ts';
import { besides, openOwnedDir, type Holding } from './owned-dir.ts';
import type { FloorOf, QuotaOf } from './quotas.ts';
import type { StoreOf } from './store-view.ts';

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
}

export type DiskEntryOptions = EntryStackOptions & {
  readonly dir: string;
  readonly maxResultBytes: number;
  readonly durability: 'process' | 'power';
};

/** Composes the entries over files below `dir`. @throws {Fault} STORE_UNAVAILABLE */
export function openDiskEntries(options: DiskEntryOptions, env: Env): EntryStack {
  const departures = new Departures(env.clock);
  const records = openOwnedDir(
    {
      dir: join(options.dir, 'entries'),
      limitBytes: options.maxResultBytes,
      durability: options.durability,
      limitOf: (owner) => {
        const quota = options.quotaOf(owner);
        return quota === undefined ? undefined : { bytes: options.maxResultBytes, fileCount: quota.entryCount };
      },
      onEvicted: (partition, name, why) => departures.noteFile(partition, name, why === 'room' ? 'evicted' : 'unused'),
    },
    env,
  );
  const signed = diskEntryStore(records.files, options.keys, env); // believes no record that was not signed for its name
  const holdings = () => records.holdings();
  return layered(options, { signed, departures, holdings, packs: undefined, close: async () => records[Symbol.asyncDispose]() }, env);
}

type Base = {
  readonly signed: EntryStore;
  readonly departures: Departures;
  readonly holdings: (signal: AbortSignal) => Promise<readonly Holding[]>;
  readonly packs: PurgedPacks | undefined;
  readonly close: () => Promise<void>;
};

function layered({ quotaOf, floorOf, storeOf, blobHoldings }: EntryStackOptions, base: Base, env: Env): EntryStack {
  const raw = withZoneFloor(base.signed, floorOf); // above the signatures: they say the zone
  const complete = withCompleteEntries(raw, new Needs(storeOf), base.departures, env.log); // outermost: what is not complete is not seen
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
    parts: { complete, raw, departures: base.departures, usage, packs: base.packs },
    actionCache: entryActionCache(complete),
    [Symbol.asyncDispose]: base.close,
  };
}
