import type { BreakerView } from '../../base/breaker.ts';
import type { EntryCounters } from '../entries/counters.ts';
import type { IndexTotals } from '../entries/object-quotas.ts';
import type { GcState } from '../gc/gc.ts';
import type { DirTotals } from '../lru-dir.ts';
import type { PackCounters } from '../packs/counters.ts';
import type { StagingState } from '../staging/open.ts';
import type { TierCounters } from '../with-local-tier.ts';

/** What there is to see of blobs in a bucket. */
export type BucketState = {
  readonly packs: Readonly<PackCounters>;
  readonly tier: Readonly<TierCounters>;
  /** Of the directory of the local tier. */
  readonly tierTotals: () => DirTotals;
  readonly gc: () => GcState;
  readonly staging: () => StagingState;
};

/** What a data plane's stores are at, looked at whenever somebody asks. */
export type StoreState = {
  readonly entries: EntryCounters;
  /** Directories by what they hold: `blobs` and `entries`, or the `tier` in front of a bucket. */
  readonly directories: () => Readonly<Partial<Record<'blobs' | 'entries' | 'tier', DirTotals>>>;
  /** Undefined where nothing lies in a bucket. */
  readonly bucket: BucketState | undefined;
  readonly indexed: (() => IndexTotals) | undefined;
  readonly breakers: () => readonly BreakerView[];
};
