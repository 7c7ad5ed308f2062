import type { Owner } from '../store-index/store-index.ts';
import type { Quota } from '../quotas.ts';
import type { DryRun, Planned } from '../gc/dry-run.ts';
import type { Departures } from './departures.ts';
import type { EntryStore } from './entry-store.ts';
import type { PurgeCriteria } from './purge.ts';

/** What one owner uses, and may use at most where it has a quota. Evictions are counted since this process began. */
export type ScopeUsage = {
  readonly owner: Owner;
  readonly entryCount: number;
  readonly blobBytes: number;
  readonly quota: Quota | undefined;
  readonly evictedEntryCount: number;
  readonly evictedBlobCount: number;
};

/** The packs of those whose entries are purged. */
export interface PurgedPacks {
  /**
   * Gives up packs that the build, agent or caller of the criteria stored, that nothing refers to any more and that nobody was promised
   * lately; the others go as garbage does. `dryRun` only counts. @throws {Fault} STORE_UNAVAILABLE
   */
  retire(
    project: string,
    criteria: PurgeCriteria,
    dryRun: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly retiredCount: number; readonly waitingCount: number }>;
}

/** All that the service of entries stands on. */
export type EntryParts = {
  /** What may be seen: complete entries only, but in lists. */
  readonly complete: EntryStore;
  /** The same entries, complete or not. */
  readonly raw: EntryStore;
  readonly departures: Departures;
  /** Every owner that has something, in order of project and scope. */
  readonly usage: (signal: AbortSignal) => Promise<readonly ScopeUsage[]>;
  /** Undefined where blobs are not kept in packs. */
  readonly packs: PurgedPacks | undefined;
  /** Undefined where blobs are not kept in packs: files are not collected. */
  readonly planCollection?: PlanCollection | undefined;
};

/** What garbage collection would do now, thing by thing to `give`, without doing it. @throws {Fault} STORE_UNAVAILABLE */
export type PlanCollection = (give: (planned: Planned) => void, signal: AbortSignal) => Promise<DryRun>;
