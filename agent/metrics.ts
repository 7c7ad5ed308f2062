import type { BreakerView } from '../base/breaker.ts';
import { breakerMetrics } from '../base/breaker-metrics.ts';
import type { Clock } from '../base/clock.ts';
import { FAULTS, type FaultCode } from '../base/fault.ts';
import { FAILURE_CLASSES } from '../base/failure.ts';
import { one, openMetrics, SECONDS, type Metrics } from '../base/metrics.ts';
import type { AttemptReport } from '../cache/action/result.ts';
import type { DirectFetcher } from '../cache/direct/fetcher.ts';
import { RUNGS, type RungCounts } from './tier/rung.ts';
import type { Executor } from './session/executor.ts';
import type { Dialler } from './session/stream.ts';

/** What the metrics look at when somebody asks for them. */
export type AgentSources = {
  readonly spoolBytes: () => number;
  readonly spoolBytesMax: number;
  readonly breakers: () => readonly BreakerView[];
  readonly tierBytes: () => number;
  readonly tierBytesMax: number;
  readonly restores: Pick<RungCounts, 'of' | 'bytesOf'>;
  /** What is read from the bucket, and put there, without the data plane. */
  readonly direct: Pick<DirectFetcher, 'counters' | 'isReachable'> & { readonly uploads: Pick<DirectFetcher['uploads'], 'counters'> };
};

/** What an agent tells of itself in numbers. `dialler` and `executor` return what they were given, measured. */
export interface AgentMetrics extends Disposable {
  readonly metrics: Metrics;
  dialler(next: Dialler): Dialler;
  executor(next: Executor): Executor;
  /** Why the agent takes no work; undefined = it does. */
  cordoned(reason: string | undefined): void;
  watch(sources: AgentSources): void;
}

const PHASES = ['prepare', 'run', 'upload'] as const;

export function openAgentMetrics({ clock, version }: { readonly clock: Clock; readonly version: string }): AgentMetrics {
  const metrics = openMetrics();
  let isCordoned = false;
  metrics.read({
    name: 'switchyard_agent_info',
    help: 'Always 1; says which version runs.',
    kind: 'gauge',
    labels: ['version'],
    values: () => [{ value: 1, labels: { version } }],
  });
  metrics.read({
    name: 'switchyard_agent_cordoned',
    help: '1 while the agent takes no work because its host is short of something; its log and `switchyard agents` say of what.',
    kind: 'gauge',
    values: one(() => (isCordoned ? 1 : 0)),
  });
  return {
    metrics,
    dialler: measuredDialler(metrics),
    executor: measuredExecutor(metrics, clock),
    cordoned: (reason) => void (isCordoned = reason !== undefined),
    watch({ spoolBytes, spoolBytesMax, breakers, tierBytes, tierBytesMax, restores, direct }) {
      breakerMetrics(metrics, breakers);
      tierMetrics(metrics, { tierBytes, tierBytesMax, restores });
      bucketMetrics(metrics, direct);
      metrics.read({
        name: 'switchyard_agent_spool_bytes',
        help: 'Bytes of logs and results that wait for the coordinator on disk.',
        kind: 'gauge',
        values: one(spoolBytes),
      });
      metrics.read({
        name: 'switchyard_agent_spool_limit_bytes',
        help: 'Most bytes that may wait so; beyond it logs are cut.',
        kind: 'gauge',
        values: one(() => spoolBytesMax),
      });
    },
    [Symbol.dispose]: () => metrics[Symbol.dispose](),
  };
}

type TierSources = Pick<AgentSources, 'tierBytes' | 'tierBytesMax' | 'restores'>;

/** What the agent keeps on its disk, and how it brings trees to steps. */
function tierMetrics(metrics: Metrics, sources: TierSources): void {
  metrics.read({
    name: 'switchyard_agent_restores_total',
    help:
      'Large inputs and dependency caches brought to their places, by how: `overlay` and `present` move nothing, `delta` only the difference. ' +
      'Many `copy` mean that the host has no overlays: `switchyard doctor` and the line that the agent prints when it is ready say why.',
    kind: 'counter',
    labels: ['rung'],
    values: () => RUNGS.map((rung) => ({ value: sources.restores.of(rung), labels: { rung } })),
  });
  metrics.read({
    name: 'switchyard_agent_restored_bytes_total',
    help: 'Bytes that were fetched to bring them to their places; with the count of the same `rung`, what a restore costs the network.',
    kind: 'counter',
    labels: ['rung'],
    values: () => RUNGS.map((rung) => ({ value: sources.restores.bytesOf(rung), labels: { rung } })),
  });
  metrics.read({
    name: 'switchyard_agent_tier_bytes',
    help: 'Bytes that blobs and trees take which the agent keeps for later steps.',
    kind: 'gauge',
    values: one(sources.tierBytes),
  });
  metrics.read({
    name: 'switchyard_agent_tier_limit_bytes',
    help: 'Beyond this what was used longest ago goes; what steps use stays.',
    kind: 'gauge',
    values: one(() => sources.tierBytesMax),
  });
}

/** What comes from the bucket itself. */
function bucketMetrics(metrics: Metrics, direct: AgentSources['direct']): void {
  metrics.read({
    name: 'switchyard_agent_bucket_reachable',
    help:
      '0 while the agent leaves the bucket alone because it cannot be reached from here (`bucket-unreachable` in its log says why). ' +
      'Inputs come through the data plane meanwhile.',
    kind: 'gauge',
    values: one(() => (direct.isReachable ? 1 : 0)),
  });
  metrics.read({
    name: 'switchyard_agent_bucket_bytes_total',
    help: 'Bytes of inputs that came from the bucket and not through the data plane; 0 where the store is no bucket.',
    kind: 'counter',
    values: one(() => direct.counters.blobBytes),
  });
  metrics.read({
    name: 'switchyard_agent_bucket_requests_total',
    help: 'Requests to the bucket, second ones for what was slow included.',
    kind: 'counter',
    values: one(() => direct.counters.ranges),
  });
  metrics.read({
    name: 'switchyard_agent_bucket_fallbacks_total',
    help: 'Blobs that lie in the bucket and came through the data plane all the same: a request failed, a URL ended, bytes were damaged.',
    kind: 'counter',
    values: one(() => direct.counters.blobsFallenBack),
  });
  metrics.read({
    name: 'switchyard_agent_bucket_sent_bytes_total',
    help: 'Bytes of packs that the agent put into the bucket itself and the data plane took over.',
    kind: 'counter',
    values: one(() => direct.uploads.counters.packBytes),
  });
  metrics.read({
    name: 'switchyard_agent_bucket_uploads_failed_total',
    help: 'Times that some of what was to be put so went through the data plane all the same.',
    kind: 'counter',
    values: one(() => direct.uploads.counters.failed),
  });
}

/** Dials, registrations and breaks, as the session's streams show them. */
function measuredDialler(metrics: Metrics): AgentMetrics['dialler'] {
  let registered: object | undefined;
  const dials = metrics.counter('switchyard_agent_dials_total', 'Streams that were opened to a coordinator.');
  const registrations = metrics.counter(
    'switchyard_agent_registrations_total',
    'Times that a coordinator took the agent. More than dials lost: links break.',
  );
  const refusals = metrics.counter(
    'switchyard_agent_refusals_total',
    'Times that a coordinator did not take it, or sent it to the leader.',
    ['because'],
  );
  const breaks = metrics.counter(
    'switchyard_agent_stream_breaks_total',
    'Streams that broke or could not be opened, by the code of the fault.',
    ['code'],
  );
  metrics.read({
    name: 'switchyard_agent_registered',
    help: '1 while a coordinator has the agent. 0 for longer than a lease: its steps run elsewhere.',
    kind: 'gauge',
    values: one(() => (registered === undefined ? 0 : 1)),
  });
  return (next) => ({
    addresses: next.addresses,
    open(address, listener) {
      dials.add(1, {});
      const stream = {};
      registered = undefined; // the session has one stream at a time
      return next.open(address, {
        message(message) {
          if (message.kind === 'registered') {
            registered = stream;
            registrations.add(1, {});
          } else if (message.kind === 'refused')
            refusals.add(1, { because: message.leaderAddress === undefined ? 'refused' : 'redirected' });
          listener.message(message);
        },
        broken(code, message) {
          if (registered === stream) registered = undefined;
          breaks.add(1, { code: codeOf(code) });
          listener.broken(code, message);
        },
      });
    },
  });
}

/** Codes are a closed set; what is none of them came from somewhere else. */
function codeOf(code: string): FaultCode {
  return code in FAULTS ? (code as FaultCode) : 'INTERNAL'; // a key of the table
}

/** Attempts as the runner tells of them. */
function measuredExecutor(metrics: Metrics, clock: Clock): AgentMetrics['executor'] {
  let running = 0;
  const ended = metrics.counter(
    'switchyard_agent_attempts_total',
    'Attempts that ended here, by how: `succeeded` or the class of failure or error.',
    ['class'],
  );
  for (const cls of ['succeeded', ...Object.keys(FAILURE_CLASSES)]) ended.add(0, { class: cls });
  const setUp = metrics.histogram(
    'switchyard_agent_setup_seconds',
    'Time from the acceptance of an attempt until its inputs and sandbox are ready.',
    SECONDS,
  );
  const phases = metrics.histogram('switchyard_agent_phase_seconds', 'Time of attempts that ran their command, by phase.', SECONDS, [
    'phase',
  ]);
  const moved = metrics.counter(
    'switchyard_agent_transfer_bytes_total',
    'Bytes of inputs fetched from the store (`in`) and of outputs stored there (`out`).',
    ['direction'],
  );
  metrics.read({
    name: 'switchyard_agent_attempts_running',
    help: 'Attempts that the agent is busy with.',
    kind: 'gauge',
    values: one(() => running),
  });
  const note = (report: AttemptReport): void => {
    ended.add(1, { class: report.kind === 'succeeded' ? 'succeeded' : report.class });
    const usage = report.result?.usage;
    if (usage === undefined) return;
    const times = { prepare: usage.prepareMs, run: usage.runMs, upload: usage.uploadMs };
    for (const phase of PHASES) phases.observe(times[phase] / 1_000, { phase });
    moved.add(usage.bytesIn, { direction: 'in' });
    moved.add(usage.bytesOut, { direction: 'out' });
  };
  return (next) => ({
    begin(offer, terms, listener) {
      const startedAt = clock.monotonic();
      running += 1;
      return next.begin(offer, terms, {
        ...listener,
        prepared() {
          setUp.observe((clock.monotonic() - startedAt) / 1_000, {});
          listener.prepared();
        },
        finished(report) {
          running -= 1;
          note(report);
          listener.finished(report);
        },
      });
    },
  });
}
