import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { formatInstant } from '../../base/quantity.ts';
import { commitOfTree } from '../chaos/commit.ts';
import { checkHost, LAB_HELP, parseLabOptions, type LabOptions } from './options.ts';
import { renderLabReport } from './report.ts';
import { runLab } from './run.ts';

// `npm run lab -- --seed N --duration 5m`: see LAB_HELP. Ends with 1 where an invariant was broken, with 2 where it cannot run.

async function run(options: LabOptions): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'switchyard-lab-'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  // With --json standard output is the report alone.
  const say = (line: string) => process.stderr.write(`${formatInstant(systemClock.now())} ${line}\n`);
  say(`seed ${options.seed} in ${dir}`);
  try {
    const report = await runLab(options, { dir, commit: commitOfTree(), say, signal: stop.signal });
    process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : `\n${renderLabReport(report)}`);
    return report.violations.length === 0 ? 0 : 1;
  } finally {
    if (options.keep) say(`kept: ${dir}`);
    else rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

if (process.argv.includes('--help')) process.stdout.write(LAB_HELP);
else {
  try {
    const options = parseLabOptions(process.argv.slice(2));
    checkHost();
    process.exitCode = await run(options);
  } catch (error) {
    process.stderr.write(`${isFault(error) ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 2;
  }
}
process.exit();
