import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { systemClock } from '../../base/clock.ts';
import { runGc } from './gc/command.ts';
import { runMany, type Totals } from './many.ts';
import { simulate, textOf, type Report } from './simulation.ts';

// `npm run sim -- --seed N --steps M [--seeds K]`: K runs from seed N on, of M build steps each.
// `npm run sim -- --events 10M`: runs from seed N on, on every core, until there were so many events.
// `npm run sim -- gc --seed N --seeds K`: the collection of the cache's garbage instead (`gc/main.ts`).
// Ends with 1 at the first failure.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    hours: { type: 'string' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '60' },
    seeds: { type: 'string', default: '1' },
    events: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
  },
});

function numberOf(name: 'seed' | 'steps' | 'seeds' | 'events' | 'workers', text: string): number {
  const [, digits, unit] = /^([0-9]{1,15})([kM]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`--${name} must be a whole number, with k or M for thousands or millions, not "${text}"`);
  return Number(digits) * (unit === 'M' ? 1_000_000 : unit === 'k' ? 1_000 : 1);
}

function commitOfTree(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown (not a git checkout)';
  }
}

function describe(report: Report): string {
  const outcomes = [...report.outcomes].map(([kind, count]) => `${count} ${kind}`);
  const seconds = Math.round(report.simulatedMs / 1_000);
  return `seed ${report.seed}: ${report.builds} builds, ${report.events} events, ${seconds} s, ${report.terms} terms; ${outcomes.join(', ')}`;
}

function explainFailure(seed: number, steps: number, lines: readonly string[], error: string): void {
  process.stdout.write(
    `${lines.join('\n')}\n\nFAILED with seed ${seed} at commit ${commitOfTree()}: ${error}\n\n` +
      `Again: npm run sim -- --seed ${seed} --steps ${steps}\n`,
  );
  process.exitCode = 1;
}

async function runOneByOne(first: number, steps: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed += 1) {
    const report = await simulate({ seed, steps });
    if (values.trace) process.stdout.write(`${[...report.lastLines, ...report.waiting].join('\n')}\n`);
    process.stdout.write(`${describe(report)}\n`);
    if (report.failure === undefined) continue;
    return explainFailure(seed, steps, [...report.lastLines, ...report.waiting], textOf(report.failure));
  }
}

function summary(totals: Totals, seconds: number): string {
  const faults = [...totals.faults].toSorted(([left], [right]) => (left < right ? -1 : 1));
  const count = (number: number) => Math.round(number).toLocaleString('en');
  return [
    `${count(totals.events)} events in ${count(totals.seeds)} runs, ${count(totals.simulatedMs / 3_600_000)} simulated hours`,
    `${count(totals.builds)} builds accepted, ${count(totals.stepsEnded)} steps ended, ${count(totals.terms)} terms`,
    `${count(faults.reduce((sum, [, number]) => sum + number, 0))} faults:`,
    ...faults.map(([kind, number]) => `  ${kind.padEnd(36)} ${count(number).padStart(9)}`),
    `violations = ${totals.failure === undefined ? 0 : 1}, ${count(seconds)} s`,
  ].join('\n');
}

async function runUntil(first: number, steps: number, events: number, workers: number): Promise<void> {
  const start = systemClock.monotonic();
  const seconds = () => (systemClock.monotonic() - start) / 1_000;
  let saidAt = 0;
  const totals = await runMany({
    first,
    steps,
    events,
    workers,
    progress: (soFar) => {
      if (seconds() < saidAt + 5) return;
      saidAt = seconds();
      process.stdout.write(`${Math.round(saidAt)} s: ${soFar.seeds} runs, ${soFar.events} of ${events} events\n`);
    },
  });
  process.stdout.write(`${summary(totals, seconds())}\n`);
  if (totals.failure !== undefined) explainFailure(totals.failure.seed, steps, totals.failure.lines, totals.failure.error);
}

const [first, steps] = [numberOf('seed', values.seed), numberOf('steps', values.steps)];
if (positionals[0] === 'gc')
  await runGc({ first, count: numberOf('seeds', values.seeds), hours: Number(values.hours ?? 24), trace: values.trace });
else if (values.events === undefined) await runOneByOne(first, steps, numberOf('seeds', values.seeds));
else await runUntil(first, steps, numberOf('events', values.events), Math.max(1, numberOf('workers', values.workers)));
