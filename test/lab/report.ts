import { formatDurationMs } from '../../base/quantity.ts';
import { INVARIANTS } from '../chaos/observation.ts';
import { recoveryLines, rows, violationLines, type Times } from '../chaos/report.ts';
import { LAB_CLUSTERS } from './clusters.ts';
import type { Intrusion } from './intruders.ts';
import type { Isolation, Waits } from './isolation.ts';
import type { LabOptions } from './options.ts';
import type { PipelineRun } from './pipeline.ts';
import type { TrustTally } from './trust.ts';

/** What a run of the laboratory checks: all that chaos runs do, and what several clusters and zones add. */
export const LAB_INVARIANTS = {
  ...INVARIANTS,
  zones: 'no attempt of a step was outside of the zone and cluster that it asks for',
  parity: 'two clusters make the same bytes of one build',
  trust: 'nothing that was made for a caller of less trust is a result of one of more, nothing untrusted goes into production',
  whole: 'what was staged while the store was away is there once it is back, and steps that had to run again made the same bytes',
  strangers: 'nobody becomes an agent of a zone that its certificate is not of',
  pipeline: 'the pipeline succeeds before the faults and after them, each step where it belongs',
} as const;

export type LabViolation = { readonly invariant: keyof typeof LAB_INVARIANTS; readonly where: string; readonly what: string };

export type LabReport = {
  readonly seed: number;
  readonly commit: string;
  readonly options: LabOptions;
  readonly startedAt: string;
  readonly tookMs: number;
  /** What serves S3. */
  readonly store: string;
  readonly pipeline: { readonly before: PipelineRun; readonly after: PipelineRun };
  readonly intrusions: readonly Intrusion[];
  /** Undefined where it was not asked for. */
  readonly isolation: Isolation | undefined;
  readonly faults: Readonly<Record<string, number>>;
  readonly faultsLeftOut: number;
  readonly builds: number;
  readonly steps: Readonly<Record<string, number>>;
  readonly attempts: number;
  /** Accepted attempts by cluster. */
  readonly places: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly heldBack: number;
  readonly trust: Omit<TrustTally, 'violations'>;
  /** Builds that went on without the store, and ends of their steps that were taken back because what was left was staged elsewhere. */
  readonly outage: { readonly builds: number; readonly endsTakenBack: number };
  readonly falls: Readonly<Record<string, readonly string[]>>;
  readonly recovery: Readonly<Record<string, Times>>;
  readonly evidence: { readonly journalLines: number; readonly witnessedStarts: number; readonly logsRead: number };
  readonly violations: readonly LabViolation[];
};

/** The command that does the same again, as far as a seed decides it. */
export function labCommandOf({ seed, durationMs, rate, kinds, everyMs, isolationMs, s3, leaseTtlMs, termTtlMs }: LabOptions): string {
  const times = `--every ${formatDurationMs(everyMs)} --isolation ${formatDurationMs(isolationMs)}`;
  const ttls = `--lease-ttl ${formatDurationMs(leaseTtlMs)} --term-ttl ${formatDurationMs(termTtlMs)}`;
  const what = `--s3 ${s3} --faults ${kinds.length === 0 ? 'none' : kinds.join(',')}`;
  return `npm run lab -- --seed ${seed} --duration ${formatDurationMs(durationMs)} --rate ${rate} ${times} ${ttls} ${what}`;
}

/** For people. */
export function renderLabReport(report: LabReport): string {
  const { options, evidence, trust, pipeline, outage } = report;
  const clusters = LAB_CLUSTERS.map(({ name, agents, delayMs }) => `${name} ${agents} (${delayMs} ms away)`).join(', ');
  const lines = [
    `seed ${report.seed} at commit ${report.commit}, ${formatDurationMs(options.durationMs)} of load and faults (${formatDurationMs(report.tookMs)} in all)`,
    `agents: ${clusters}; 2 coordinators on Redis; S3 is ${report.store}`,
    '',
    `pipeline  before ${pipelineLine(pipeline.before)}`,
    `          after  ${pipelineLine(pipeline.after)}`,
    ...report.intrusions.map(({ tried, refused }) => `${refused ? 'refused ' : 'TAKEN   '}  ${tried}`),
    ...(report.isolation === undefined ? [] : isolationLines(report.isolation)),
    '',
    `faults    ${rows(report.faults)}${report.faultsLeftOut === 0 ? '' : ` (${report.faultsLeftOut} left out)`}`,
    `builds    ${report.builds}`,
    `steps     ${rows(report.steps)}`,
    `attempts  ${report.attempts} (${rows(report.places)}), of which ended by an error: ${rows(report.errors)}`,
    `trust     results: ${trust.main} for the team (${trust.mainHits} from the cache), ${trust.fork} for the stranger (${trust.forkHits} from the cache)`,
    `          ${trust.refused} builds refused: a stranger in production, or untrusted outputs taken there`,
    `outages   ${outage.builds} builds had steps that ended while the store was away; ${outage.endsTakenBack} such ends were taken back, and the steps ran again`,
    `evidence  ${evidence.logsRead} logs read, ${evidence.journalLines} journal lines, ${evidence.witnessedStarts} starts witnessed`,
    ...(report.heldBack === 0 ? [] : [`load      held back ${report.heldBack} times`]),
    ...Object.entries(report.falls).map(
      ([name, how]) => `ended     ${name} by itself, ${how.length} times: ${[...new Set(how)].join(', ')}`,
    ),
    '',
    ...recoveryLines(report.recovery),
    '',
    ...violationLines(LAB_INVARIANTS, report.violations),
  ];
  if (report.violations.length > 0)
    lines.push('', `FAILED with seed ${report.seed} at commit ${report.commit}. Again: ${labCommandOf(options)}`);
  return `${lines.join('\n')}\n`;
}

function pipelineLine({ tookMs, places, problems }: PipelineRun): string {
  const where = Object.entries(places).map(([step, place]) => `${step} in ${place}`);
  return problems.length > 0 ? `FAILED: ${problems.join('; ')}` : `${formatDurationMs(tookMs)}: ${where.join(', ')}`;
}

function isolationLines({ quiet, flooded, ratio, floodQueued }: Isolation): readonly string[] {
  const of = ({ count, p50Ms, p99Ms }: Waits) => `p50 ${p50Ms} ms, p99 ${p99Ms} ms (${count} steps)`;
  return [
    `isolation waits for production, alone: ${of(quiet)}`,
    `          with ${floodQueued} steps of a stranger unfinished at the edge: ${of(flooded)}; p99 × ${ratio.toFixed(2)}`,
  ];
}
