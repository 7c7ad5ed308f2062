import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { simulate, textOf, type Report } from './simulation.ts';

// `npm run sim -- --seed N --steps M [--seeds K]`: K runs from seed N on, of M build steps each. Ends with 1 at the first failure.

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '60' },
    seeds: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});

function wholeNumber(name: 'seed' | 'steps' | 'seeds'): number {
  const text = values[name];
  if (!/^[0-9]{1,15}$/.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
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

const [first, steps, count] = [wholeNumber('seed'), wholeNumber('steps'), wholeNumber('seeds')];
for (let seed = first; seed < first + count; seed += 1) {
  const report = await simulate({ seed, steps });
  if (values.trace || report.failure !== undefined) process.stdout.write(`${[...report.lastLines, ...report.waiting].join('\n')}\n`);
  process.stdout.write(`${describe(report)}\n`);
  if (report.failure === undefined) continue;
  const error = textOf(report.failure);
  process.stdout.write(
    `\nFAILED with seed ${seed} at commit ${commitOfTree()}: ${error}\n\nAgain: npm run sim -- --seed ${seed} --steps ${steps}\n`,
  );
  process.exitCode = 1;
  break;
}
