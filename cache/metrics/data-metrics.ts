import { breakerMetrics } from '../../base/breaker-metrics.ts';
import { connectionMetrics, newConnectionCounts, type ConnectionCounts } from '../../base/connection-limits.ts';
import { byLabel, openMetrics, SECONDS, type Metrics, type Reading } from '../../base/metrics.ts';
import type { EntryKind } from '../store-index/store-index.ts';
import type { BlobCounters } from '../with-blob-counts.ts';
import { bucketMetrics } from './bucket-metrics.ts';
import { OBJECT_CALLS, type Outcome, type StoreMeasures } from './store-measures.ts';
import type { StoreState } from './store-state.ts';

/** Everything that a data plane tells of itself in numbers. No label names a project, a scope or a caller: their number has no bound. */
export interface DataMetrics extends Disposable {
  readonly metrics: Metrics;
  /** For the stores. */
  readonly measures: StoreMeasures;
  /** For the servers, to be kept up by them. */
  readonly connections: { readonly grpc: ConnectionCounts; readonly http: ConnectionCounts };
  /** A call of a client has been answered. `method`: as the service names it, or `http-` and the protocol. */
  called(method: string, outcome: Outcome, ms: number): void;
  /** Once everything is there. */
  watch(state: StoreState, blobs: Readonly<BlobCounters>): void;
}

/** `processName`: where there are several, which one this is. */
export function openDataMetrics(processName?: string): DataMetrics {
  const metrics = openMetrics(processName);
  const calls = metrics.counter(
    'switchyard_data_requests_total',
    'Calls of clients, by method (of build tools over HTTP: `http-` and the protocol) and how they ended: `ok`, or the code of the fault.',
    ['method', 'outcome'],
  );
  const callSeconds = metrics.histogram(
    'switchyard_data_request_seconds',
    'Time of calls of clients; of streams until their end.',
    SECONDS,
    ['method'],
  );
  const connections = { grpc: newConnectionCounts(), http: newConnectionCounts() };
  connectionMetrics(metrics, connections);
  return {
    metrics,
    measures: storeMeasures(metrics),
    connections,
    called(method, outcome, ms) {
      calls.add(1, { method, outcome });
      callSeconds.observe(ms / 1_000, { method });
    },
    watch(state, blobs) {
      breakerMetrics(metrics, state.breakers);
      blobMetrics(metrics, blobs);
      directoryMetrics(metrics, state);
      entryMetrics(metrics, state.entries);
      bucketMetrics(metrics, state);
    },
    [Symbol.dispose]: () => metrics[Symbol.dispose](),
  };
}

function storeMeasures(metrics: Metrics): StoreMeasures {
  const calls = metrics.counter(
    'switchyard_bucket_requests_total',
    'Calls to the bucket, each with its tries again, by how they ended: `ok` (also where there was no such object), or the code of the fault.',
    ['operation', 'outcome'],
  );
  for (const operation of OBJECT_CALLS) calls.add(0, { operation, outcome: 'ok' });
  const seconds = metrics.histogram('switchyard_bucket_request_seconds', 'Time of calls to the bucket, bodies included.', SECONDS, [
    'operation',
  ]);
  const bytes = metrics.counter('switchyard_bucket_bytes_total', 'Bytes of objects that went into the bucket and came out of it.', [
    'direction',
  ]);
  for (const direction of ['in', 'out'] as const) bytes.add(0, { direction });
  const packs = metrics.histogram(
    'switchyard_pack_seconds',
    'Group commit of packs: how long one was kept open for company while somebody waited (`gather`), and how long storing it took (`store`).',
    SECONDS,
    ['phase'],
  );
  return {
    objectCall(operation, outcome, ms) {
      calls.add(1, { operation, outcome });
      seconds.observe(ms / 1_000, { operation });
    },
    objectBytes: (direction, count) => bytes.add(count, { direction }),
    packStored(gatherMs, storeMs) {
      packs.observe(gatherMs / 1_000, { phase: 'gather' });
      packs.observe(storeMs / 1_000, { phase: 'store' });
    },
  };
}

function blobMetrics(metrics: Metrics, counts: Readonly<BlobCounters>): void {
  metrics.read({
    name: 'switchyard_data_blobs_total',
    help: 'Blobs that clients read to their end (`out`) and stored (`in`, those that were there already included).',
    kind: 'counter',
    labels: ['direction'],
    values: byLabel('direction', () => ({ in: counts.storedBlobs, out: counts.readBlobs })),
  });
  metrics.read({
    name: 'switchyard_data_blob_bytes_total',
    help: 'Their bytes. What agents fetch from the bucket itself is not among them.',
    kind: 'counter',
    labels: ['direction'],
    values: byLabel('direction', () => ({ in: counts.storedBytes, out: counts.readBytes })),
  });
  metrics.read({
    name: 'switchyard_data_blobs_asked_total',
    help: 'Blobs of which clients asked whether they are there, by the answer. `missing` are uploaded next.',
    kind: 'counter',
    labels: ['answer'],
    values: byLabel('answer', () => ({ there: counts.there, missing: counts.missing })),
  });
}

function directoryMetrics(metrics: Metrics, { directories }: StoreState): void {
  const all = () => Object.entries(directories());
  const gauge = (name: string, help: string, value: (totals: ReturnType<typeof all>[number][1]) => number) =>
    metrics.read({
      name,
      help,
      kind: 'gauge',
      labels: ['directory'],
      values: () => all().map(([directory, totals]) => ({ value: value(totals), labels: { directory } })),
    });
  gauge(
    'switchyard_data_directory_bytes',
    'Bytes of files, by what they are: `blobs` and `entries`, or the `tier` in front of a bucket.',
    ({ bytes }) => bytes,
  );
  gauge('switchyard_data_directory_limit_bytes', 'Beyond this what was used least goes.', ({ limitBytes }) => limitBytes);
  gauge('switchyard_data_directory_files', 'Number of these files.', ({ fileCount }) => fileCount);
  metrics.read({
    name: 'switchyard_data_evicted_total',
    help: 'Files that were removed: for want of `room` (all of it, or the quota of a scope), or because nobody used them.',
    kind: 'counter',
    labels: ['directory', 'because'],
    values: () =>
      all().flatMap(([directory, { evicted }]) =>
        Object.entries(evicted).map(([because, value]) => ({ value, labels: { directory, because } })),
      ),
  });
}

function entryMetrics(metrics: Metrics, { hits, misses, puts, refused }: StoreState['entries']): void {
  const table = <L extends string>(label: L, sums: Readonly<Record<EntryKind, Readonly<Record<string, number>>>>) => {
    return (): readonly Reading<'kind' | L>[] =>
      Object.entries(sums).flatMap(([kind, byCause]) =>
        // A record with the two labels that are named.
        Object.entries(byCause).map(([key, value]) => ({ value, labels: { kind, [label]: key } as Record<'kind' | L, string> })),
      );
  };
  metrics.read({
    name: 'switchyard_entry_hits_total',
    help: 'Results and dependency caches that were found, by their key or by the prefix of one.',
    kind: 'counter',
    labels: ['kind', 'by'],
    values: table('by', hits),
  });
  metrics.read({
    name: 'switchyard_entry_misses_total',
    help:
      'Keys that were not found, by what is known of them: `incomplete` (a blob that it names is gone), `evicted`, `unused`, `purged`; ' +
      '`absent` where nothing is, as for keys that are new. Of entries that this process removed.',
    kind: 'counter',
    labels: ['kind', 'cause'],
    values: table('cause', misses),
  });
  metrics.read({
    name: 'switchyard_entry_puts_total',
    help: 'Entries that were written, by what became of them. `differs`: the same key led to other content before, which stays.',
    kind: 'counter',
    labels: ['kind', 'outcome'],
    values: table('outcome', puts),
  });
  metrics.read({
    name: 'switchyard_entries_refused_total',
    help:
      'Records that were not believed, each time that one was read: damaged, forged or in another name’s place (`bad`), signed by a key ' +
      'that is not here, of a newer version, or from a lower `zone` than the scope demands. The log names them.',
    kind: 'counter',
    labels: ['because'],
    values: byLabel('because', () => refused),
  });
}
