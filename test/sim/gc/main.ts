import { parseArgs } from 'node:util';
import { systemClock } from '../../../base/clock.ts';
import { simulateGc } from './simulation.ts';

// `npm run sim -- gc --seed N --seeds K [--hours H]`: K runs from seed N on, of H troubled hours each. Ends with 1 at the first failure.

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    /** After a failure, the lines with this text: the name of a pack or entry, or nothing for all. */
    trace: { type: 'string' },
    hours: { type: 'string', default: '24' },
  },
});

function numberOf(name: string, text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
}

const [first, count, hours] = [numberOf('seed', values.seed), numberOf('seeds', values.seeds), numberOf('hours', values.hours)];
const start = systemClock.monotonic();
const sums = new Map<string, number>();
let turns = 0;
for (let seed = first; seed < first + count; seed += 1) {
  const report = await simulateGc({ seed, hours });
  turns += report.turns;
  for (const [event, times] of report.events) sums.set(event, (sums.get(event) ?? 0) + times);
  if (report.failure === undefined) continue;
  if (values.trace !== undefined) {
    const wanted = values.trace;
    process.stdout.write(`${report.lines.filter((line) => line.includes(wanted)).join('\n')}\n`);
  }
  process.stdout.write(`FAILED with seed ${seed}: ${report.failure.stack ?? report.failure.message}\n`);
  process.stdout.write(`Again: npm run sim -- gc --seed ${seed} --hours ${hours}\n`);
  process.exitCode = 1;
  break;
}
const seconds = Math.round((systemClock.monotonic() - start) / 1_000);
for (const [event, times] of [...sums].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
  process.stdout.write(`  ${event.padEnd(28)} ${times.toLocaleString('en').padStart(12)}\n`);
}
process.stdout.write(`${turns.toLocaleString('en')} turns in ${seconds} s, violations = ${process.exitCode === 1 ? 1 : 0}\n`);
