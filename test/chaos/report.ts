import { formatDurationMs } from '../../base/quantity.ts';
import { INVARIANTS, type Violation } from './observation.ts';
import type { ChaosOptions } from './options.ts';

/** How many, the middle and the worst, in milliseconds. */
export type Times = { readonly count: number; readonly p50Ms: number; readonly maxMs: number };

export type ChaosReport = {
  readonly seed: number;
  readonly commit: string;
  readonly options: ChaosOptions;
  readonly startedAt: string;
  /** From the first process to the last check. */
  readonly tookMs: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Faults of the schedule that had no target left, or were in force at the end of the load. */
  readonly faultsLeftOut: number;
  readonly builds: number;
  readonly steps: Readonly<Record<string, number>>;
  readonly sources: Readonly<Record<string, number>>;
  readonly attempts: number;
  /** Attempts that ended by an error and were made again, by class. */
  readonly errors: Readonly<Record<string, number>>;
  /** Times at which the load was held back because too many builds were open. */
  readonly heldBack: number;
  readonly expiredCursors: number;
  /** Builds that the ledger forgot, and that their clients submitted again under the same key. */
  readonly madeAgain: number;
  /** Processes that ended without being told to, and were started again: name to how. */
  readonly falls: Readonly<Record<string, readonly string[]>>;
  readonly recovery: Readonly<Record<string, Times>>;
  /** What the agents' journals and the steps' own witness were checked on. */
  readonly evidence: { readonly journalLines: number; readonly witnessedStarts: number; readonly logsRead: number };
  readonly violations: readonly Violation[];
};

export function timesOf(values: readonly number[]): Times {
  const sorted = values.toSorted((left, right) => left - right);
  return { count: sorted.length, p50Ms: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, maxMs: sorted.at(-1) ?? 0 };
}

/** The command that does the same again, as far as a seed decides it. */
export function commandOf({
  seed,
  durationMs,
  agents,
  coordinators,
  ledger,
  rate,
  kinds,
  net,
  everyMs,
  leaseTtlMs,
  termTtlMs,
}: ChaosOptions): string {
  const all = [
    `--seed ${seed} --duration ${formatDurationMs(durationMs)} --agents ${agents} --coordinators ${coordinators} --ledger ${ledger}`,
    `--rate ${rate} --every ${formatDurationMs(everyMs)} --lease-ttl ${formatDurationMs(leaseTtlMs)} --term-ttl ${formatDurationMs(termTtlMs)}`,
    `${net ? '--net ' : ''}--faults ${kinds.length === 0 ? 'none' : kinds.join(',')}`,
  ];
  return `npm run chaos -- ${all.join(' ')}`;
}

/** Violations of one invariant that are shown. */
const SHOWN_MAX = 10;

/** For people. */
export function renderReport(report: ChaosReport): string {
  const { options, violations } = report;
  const lines = [
    `seed ${report.seed} at commit ${report.commit}, ${formatDurationMs(options.durationMs)} of load (${formatDurationMs(report.tookMs)} in all)`,
    `${options.ledger} ledger, ${options.coordinators} coordinators, ${options.agents} agents, ${options.rate} steps/s`,
    '',
    `faults    ${rows(report.faults)}${report.faultsLeftOut === 0 ? '' : ` (${report.faultsLeftOut} left out)`}`,
    `builds    ${report.builds}`,
    `steps     ${rows(report.steps)} (${rows(report.sources)})`,
    `attempts  ${report.attempts}, of which ended by an error: ${rows(report.errors)}`,
    `evidence  ${report.evidence.logsRead} logs read, ${report.evidence.journalLines} journal lines, ${report.evidence.witnessedStarts} starts witnessed`,
    `watchers  ${report.expiredCursors} cursors expired`,
    ...(report.madeAgain === 0 ? [] : [`forgotten ${report.madeAgain} builds, made again by their clients`]),
    ...(report.heldBack === 0 ? [] : [`load      held back ${report.heldBack} times`]),
    ...Object.entries(report.falls).map(
      ([name, how]) => `ended     ${name} by itself, ${how.length} times: ${[...new Set(how)].join(', ')}`,
    ),
    '',
    ...recoveryLines(report.recovery),
    '',
    ...violationLines(INVARIANTS, violations),
  ];
  if (violations.length > 0) lines.push('', `FAILED with seed ${report.seed} at commit ${report.commit}. Again: ${commandOf(options)}`);
  return `${lines.join('\n')}\n`;
}

/** Counts by name, in one line. */
export function rows(record: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(record).toSorted(([left], [right]) => left.localeCompare(right));
  return sorted.map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
}

/** A table of times. */
export function recoveryLines(recovery: Readonly<Record<string, Times>>): readonly string[] {
  const sorted = Object.entries(recovery).toSorted(([left], [right]) => left.localeCompare(right));
  return [
    `${'recovery'.padEnd(52)}${'times'.padStart(6)}${'p50'.padStart(10)}${'max'.padStart(10)}`,
    ...sorted.map(([name, { count, p50Ms, maxMs }]) => `${name.padEnd(52)}${String(count).padStart(6)}${ms(p50Ms)}${ms(maxMs)}`),
  ];
}

function ms(value: number): string {
  return `${Math.round(value)} ms`.padStart(10);
}

/** Each invariant with what broke it. */
export function violationLines(
  invariants: Readonly<Record<string, string>>,
  violations: readonly { readonly invariant: string; readonly where: string; readonly what: string }[],
): readonly string[] {
  return Object.entries(invariants).flatMap(([name, meaning]) => {
    const found = violations.filter(({ invariant }) => invariant === name);
    const head = `${found.length === 0 ? 'held' : 'BROKEN'}  ${name}: ${meaning}`;
    const shown = found.slice(0, SHOWN_MAX).map(({ where, what }) => `        ${where} ${what}`);
    return [head, ...shown, ...(found.length > SHOWN_MAX ? [`        and ${found.length - SHOWN_MAX} more`] : [])];
  });
}
