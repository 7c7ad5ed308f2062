import { systemClock } from '../../../base/clock.ts';
import { simulateGc } from './simulation.ts';

export type GcCommand = {
  readonly first: number;
  readonly count: number;
  /** Troubled hours of each run. */
  readonly hours: number;
  /** Whether the lines of a run that failed are printed. */
  readonly trace: boolean;
};

/** Runs from a seed on; stops at the first failure, with the exit code 1. */
export async function runGc({ first, count, hours, trace }: GcCommand): Promise<void> {
  const start = systemClock.monotonic();
  const sums = new Map<string, number>();
  let [turns, runs, checks] = [0, 0, 0];
  for (let seed = first; seed < first + count && process.exitCode !== 1; seed += 1) {
    const report = await simulateGc({ seed, hours });
    turns += report.turns;
    runs += 1;
    checks += report.checks;
    for (const [event, times] of report.events) sums.set(event, (sums.get(event) ?? 0) + times);
    if (report.failure === undefined) continue;
    if (trace) process.stdout.write(`${report.lines.join('\n')}\n`);
    process.stdout.write(`FAILED with seed ${seed}: ${report.failure.stack ?? report.failure.message}\n`);
    process.stdout.write(`Again: npm run sim -- gc --seed ${seed} --hours ${hours}\n`);
    process.exitCode = 1;
  }
  const seconds = Math.round((systemClock.monotonic() - start) / 1_000);
  for (const [event, times] of [...sums].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    process.stdout.write(`  ${event.padEnd(28)} ${times.toLocaleString('en').padStart(12)}\n`);
  }
  const violations = process.exitCode === 1 ? 1 : 0;
  process.stdout.write(
    `${turns.toLocaleString('en')} turns in ${runs} runs, ${checks} deletions checked, ${seconds} s, violations = ${violations}\n`,
  );
}
