/** Sums since the store was opened, for metrics and figures. */
export type PackCounters = {
  packsPut: number;
  packBytesPut: number;
  /** Puts of packs that failed and were tried again under another name. */
  putsRetried: number;
  blobsStored: number;
  blobBytesStored: number;
  /** Pieces of large blobs that were there already, and their bytes. */
  piecesReused: number;
  pieceBytesReused: number;
  ranges: number;
  rangeBytes: number;
  rangesRetried: number;
  /** Second requests because a first one was slow, and how many of them were faster. */
  hedges: number;
  hedgesWon: number;
  framesCached: number;
  blobsCorrupt: number;
  /** Reads of a pack that the index knows and the store does not have: never of itself; somebody deleted objects. */
  packsGone: number;
};

export function newPackCounters(): PackCounters {
  return {
    packsPut: 0,
    packBytesPut: 0,
    putsRetried: 0,
    blobsStored: 0,
    blobBytesStored: 0,
    piecesReused: 0,
    pieceBytesReused: 0,
    ranges: 0,
    rangeBytes: 0,
    rangesRetried: 0,
    hedges: 0,
    hedgesWon: 0,
    framesCached: 0,
    blobsCorrupt: 0,
    packsGone: 0,
  };
}
