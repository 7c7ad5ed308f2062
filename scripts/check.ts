import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { systemClock } from '../base/clock.ts';

// Runs everything that must hold before a change goes in, all of it even after a failure, and ends with a table.
// "npm run check -- lint types" runs only those named.
const ROOT = dirname(import.meta.dirname);

type Part = { readonly name: string; readonly args: readonly string[] };

const PARTS: readonly Part[] = [
  { name: 'format', args: ['run', 'fmt:check'] },
  { name: 'lint', args: ['run', 'lint'] },
  { name: 'types', args: ['run', 'types'] },
  { name: 'dead', args: ['run', 'dead'] },
  { name: 'proto', args: ['run', 'proto:check'] },
  { name: 'docs', args: ['run', 'docs:check'] },
  { name: 'tests', args: ['test'] },
  { name: 'sim', args: ['run', 'sim', '--', '--seed', '100000', '--steps', '40', '--events', '300k'] },
];

function run({ name, args }: Part): { readonly name: string; readonly ok: boolean; readonly seconds: string } {
  process.stdout.write(`\n== ${name}: npm ${args.join(' ')}\n`);
  const start = systemClock.monotonic();
  const result = spawnSync('npm', ['--silent', ...args], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  return { name, ok: result.status === 0, seconds: ((systemClock.monotonic() - start) / 1_000).toFixed(1) };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) {
  process.stderr.write(`Unknown part ${unknown.join(', ')}; there are ${PARTS.map(({ name }) => name).join(', ')}\n`);
  process.exit(2);
}
const results = PARTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).map((part) => run(part));
process.stdout.write('\n');
for (const { name, ok, seconds } of results)
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(8)} ${seconds.padStart(7)} s\n`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
