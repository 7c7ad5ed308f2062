import type { RangeCounters } from '../packs/hedged-get.ts';

/** Sums since the start, for metrics and figures. */
export type DirectCounters = RangeCounters & {
  rangesRetried: number;
  /** Blobs that came from the bucket and were good, or that somebody else looks at; their bytes. */
  blobs: number;
  blobBytes: number;
  /** Blobs that came from the bucket and were not what their digest says, or lay in a frame that could not be read. */
  blobsDamaged: number;
  /** Blobs that a plan named and that were read through the data plane all the same. */
  blobsFallenBack: number;
};

export function newDirectCounters(): DirectCounters {
  return {
    ranges: 0,
    rangeBytes: 0,
    hedges: 0,
    hedgesWon: 0,
    rangesRetried: 0,
    blobs: 0,
    blobBytes: 0,
    blobsDamaged: 0,
    blobsFallenBack: 0,
  };
}
