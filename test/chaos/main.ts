import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { formatInstant } from '../../base/quantity.ts';
import { commitOfTree } from './commit.ts';
import { CHAOS_HELP, parseChaosOptions, type ChaosOptions } from './options.ts';
import { renderReport } from './report.ts';
import { runChaos } from './run.ts';

// `npm run chaos -- --seed N --duration 60s`: see CHAOS_HELP. Ends with 1 where an invariant was broken, with 2 where it cannot run.

async function run(options: ChaosOptions): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'switchyard-chaos-'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  const say = (line: string) => process.stdout.write(`${formatInstant(systemClock.now())} ${line}\n`);
  say(`seed ${options.seed} in ${dir}`);
  try {
    const report = await runChaos(options, { dir, commit: commitOfTree(), say, signal: stop.signal });
    process.stdout.write(`\n${renderReport(report)}`);
    return report.violations.length === 0 ? 0 : 1;
  } finally {
    if (options.keep) say(`kept: ${dir}`);
    else rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

if (process.argv.includes('--help')) process.stdout.write(CHAOS_HELP);
else {
  try {
    process.exitCode = await run(parseChaosOptions(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`${isFault(error) ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 2;
  }
}
process.exit();
