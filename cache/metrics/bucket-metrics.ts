import { byLabel, type Metrics, type Reading } from '../../base/metrics.ts';
import type { GcState } from '../gc/gc.ts';
import type { PackCounters } from '../packs/counters.ts';
import type { StagingState } from '../staging/open.ts';
import type { StoreState } from './store-state.ts';

/* What there is of packs, their index, the tier in front and garbage collection; nothing where blobs lie in files. */

export function bucketMetrics(metrics: Metrics, { bucket, indexed }: StoreState): void {
  packMetrics(metrics, () => bucket?.packs);
  metrics.read({
    name: 'switchyard_tier_reads_total',
    help: 'Blobs that were read, and whether they lay in the tier in front of the bucket. A low share of hits: raise --cache-bytes.',
    kind: 'counter',
    labels: ['found'],
    values: () => table('found', bucket === undefined ? {} : { hit: bucket.tier.hits, miss: bucket.tier.misses }),
  });
  stagingMetrics(metrics, () => bucket?.staging());
  indexMetrics(metrics, indexed);
  gcMetrics(metrics, () => bucket?.gc());
}

function table<L extends string>(label: L, sums: Readonly<Record<string, number>>): readonly Reading<L>[] {
  return byLabel(label, () => sums)();
}

function packMetrics(metrics: Metrics, packs: () => Readonly<PackCounters> | undefined): void {
  const sum = (name: string, help: string, of: (counters: Readonly<PackCounters>) => number) =>
    metrics.read({
      name,
      help,
      kind: 'counter',
      values: () => {
        const counters = packs();
        return counters === undefined ? [] : [{ value: of(counters), labels: {} }];
      },
    });
  sum('switchyard_packs_stored_total', 'Packs that were stored in the bucket.', (counters) => counters.packsPut);
  sum('switchyard_packs_stored_bytes_total', 'Their bytes, as they lie there.', (counters) => counters.packBytesPut);
  sum('switchyard_packs_retried_total', 'Packs whose storing failed and was tried again under another name.', (of) => of.putsRetried);
  sum('switchyard_pack_blobs_stored_total', 'Blobs, and pieces of large ones, that went into packs.', (of) => of.blobsStored);
  sum('switchyard_pack_pieces_reused_total', 'Pieces of large blobs that were there already.', (of) => of.piecesReused);
  sum('switchyard_pack_pieces_reused_bytes_total', 'Their bytes, which were not stored again.', (of) => of.pieceBytesReused);
  sum('switchyard_pack_reads_total', 'Ranges of packs that were asked of the bucket, hedges included.', (of) => of.ranges);
  sum('switchyard_pack_read_bytes_total', 'Bytes of packs that came from the bucket.', (of) => of.rangeBytes);
  sum('switchyard_pack_reads_retried_total', 'Ranges that were asked for again because they failed.', (of) => of.rangesRetried);
  sum('switchyard_pack_hedges_total', 'Second requests for a range because the first one was slow.', (of) => of.hedges);
  sum('switchyard_pack_hedges_won_total', 'Those of them that were faster than the first.', (of) => of.hedgesWon);
  sum('switchyard_pack_frames_cached_total', 'Frames that were read from memory, without the bucket.', (of) => of.framesCached);
  sum(
    'switchyard_blobs_corrupt_total',
    'Blobs of the bucket that were not what their digest says, and were forgotten.',
    (of) => of.blobsCorrupt,
  );
  sum(
    'switchyard_packs_gone_total',
    'Reads of packs that the index knows and the bucket does not have: never of itself; somebody else deletes objects.',
    (of) => of.packsGone,
  );
}

function indexMetrics(metrics: Metrics, indexed: StoreState['indexed']): void {
  const gauge = (name: string, help: string, key: 'ownerCount' | 'packCount' | 'packBytes' | 'entryCount') =>
    metrics.read({
      name,
      help,
      kind: 'gauge',
      values: () => {
        const held = indexed?.().held;
        return held === undefined ? [] : [{ value: held[key], labels: {} }];
      },
    });
  gauge(
    'switchyard_index_owners',
    'Scopes, over all projects, that the index has something of. Looked at every half minute.',
    'ownerCount',
  );
  gauge('switchyard_index_packs', 'Packs that can be read.', 'packCount');
  gauge('switchyard_index_pack_bytes', 'Bytes of these packs in the bucket.', 'packBytes');
  gauge('switchyard_index_entries', 'Entries that the index knows.', 'entryCount');
  metrics.read({
    name: 'switchyard_quota_evicted_entries_total',
    help: 'Entries that this process took from scopes over their quota (--scope-quota).',
    kind: 'counter',
    values: () => (indexed === undefined ? [] : [{ value: indexed().evictedEntryCount, labels: {} }]),
  });
}

function gcMetrics(metrics: Metrics, state: () => GcState | undefined): void {
  const ofState = (value: (gc: GcState) => number | undefined) => (): readonly Reading<never>[] => {
    const gc = state();
    const now = gc === undefined ? undefined : value(gc);
    return now === undefined ? [] : [{ value: now, labels: {} }];
  };
  metrics.read({
    name: 'switchyard_gc_passes_total',
    help: 'Passes of garbage collection. Of several data planes one works at a time: add them up.',
    kind: 'counter',
    values: ofState(({ counts }) => counts.passes),
  });
  metrics.read({
    name: 'switchyard_gc_phase_seconds_total',
    help: 'Time spent in each phase of garbage collection.',
    kind: 'counter',
    labels: ['phase'],
    values: () => [...(state()?.phaseMs ?? [])].map(([phase, ms]) => ({ value: ms / 1_000, labels: { phase } })),
  });
  metrics.read({
    name: 'switchyard_gc_done_total',
    help: 'What garbage collection has done: packs condemned, deleted and forgotten, entries expired, half-done commits ended, what nothing names removed.',
    kind: 'counter',
    labels: ['what'],
    values: () => table('what', doneOf(state())),
  });
  metrics.read({
    name: 'switchyard_gc_deleted_bytes_total',
    help: 'Bytes of the packs that were deleted.',
    kind: 'counter',
    values: ofState(({ counts }) => counts.bytesDeleted),
  });
  gcTimes(metrics, ofState);
}

function gcTimes(metrics: Metrics, ofState: (value: (gc: GcState) => number | undefined) => () => readonly Reading<never>[]): void {
  const instant = (atMs: number | undefined) => (atMs === undefined ? undefined : atMs / 1_000);
  metrics.read({
    name: 'switchyard_gc_last_pass_timestamp_seconds',
    help: 'When this process last ended a pass, in seconds since 1970; absent before the first.',
    kind: 'gauge',
    values: ofState(({ passedAt }) => instant(passedAt)),
  });
  metrics.read({
    name: 'switchyard_gc_last_mark_timestamp_seconds',
    help: 'When this process last looked at everything and counted all references anew (once a day), in seconds since 1970.',
    kind: 'gauge',
    values: ofState(({ markedAt }) => instant(markedAt)),
  });
  metrics.read({
    name: 'switchyard_gc_failing',
    help: '1 where the last pass of this process failed; `gc-failed` in its log says why.',
    kind: 'gauge',
    values: ofState(({ lastError }) => (lastError === undefined ? 0 : 1)),
  });
  metrics.read({
    name: 'switchyard_gc_wrong_references',
    help: 'Packs whose count of references was found wrong. Not 0: nothing is collected (`gc-references-wrong`).',
    kind: 'gauge',
    values: ofState(({ mismatches }) => mismatches),
  });
}

/** Sums by what was done; nothing where there is no garbage collection. */
function doneOf(gc: GcState | undefined): Readonly<Record<string, number>> {
  if (gc === undefined) return {};
  const { counts } = gc;
  return {
    'packs-condemned': counts.packsCondemned,
    'packs-deleted': counts.packsDeleted,
    'packs-forgotten': counts.packsForgotten,
    'entries-expired': counts.entriesExpired,
    'commits-finished': counts.commitsFinished,
    'commits-undone': counts.commitsUndone,
    'orphan-packs': counts.orphanPacks,
    'orphan-objects': counts.orphanObjects,
    'uploads-aborted': counts.uploadsAborted,
  };
}

function stagingMetrics(metrics: Metrics, state: () => StagingState | undefined): void {
  const ofState = (value: (staging: StagingState) => number) => (): readonly Reading<never>[] => {
    const now = state();
    return now === undefined ? [] : [{ value: value(now), labels: {} }];
  };
  const gauge = (name: string, help: string, value: (staging: StagingState) => number) =>
    metrics.read({ name, help, kind: 'gauge', values: ofState(value) });
  gauge(
    'switchyard_staged_blobs',
    'Uploads on the local disk that wait for the bucket. Above 0 for long: it does not answer.',
    ({ blobs }) => blobs,
  );
  gauge('switchyard_staged_bytes', 'Their bytes.', ({ bytes }) => bytes);
  gauge('switchyard_staged_limit_bytes', 'Beyond this uploads are refused (--staging-bytes).', ({ limitBytes }) => limitBytes);
  metrics.read({
    name: 'switchyard_staging_total',
    help:
      'Uploads by what became of them while the bucket did not answer: `staged` on the disk, `refused` for want of room there, `drained` into ' +
      'the bucket since, `dropped` because they were damaged on the disk or over the quota of their scope.',
    kind: 'counter',
    labels: ['what'],
    values: () => {
      const now = state();
      if (now === undefined) return [];
      return table('what', { staged: now.stagedCount, refused: now.refusedCount, drained: now.drained, dropped: now.dropped });
    },
  });
  metrics.read({
    name: 'switchyard_lookups_given_up_total',
    help: 'Lookups of results that counted as misses because the bucket did not answer in time.',
    kind: 'counter',
    values: ofState(({ missed }) => missed),
  });
}
