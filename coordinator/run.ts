import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { isFault } from '../base/fault.ts';
import { jsonLogger, type Logger } from '../base/log.ts';
import type { Environment } from '../base/options.ts';
import { renderHelp } from '../base/options-text.ts';
import { COORDINATOR_OPTIONS, parseCoordinatorConfig, type CoordinatorConfig } from './config.ts';
import { startCoordinator } from './start.ts';

/** Exit codes: 0 told to stop, 1 could not go on (start it again), 2 wrong configuration. */
type ExitCode = 0 | 1 | 2;

/**
 * The whole life of a coordinator's process, from its options to its exit code. When everything answers it prints one line on
 * standard output, `{"ready":true,"address":...,"dataAddress":...}`, and keeps it in `<state dir>/coordinator.json`.
 */
export async function runCoordinator(argv: readonly string[], variables: Environment): Promise<ExitCode> {
  if (argv.includes('--help')) {
    process.stdout.write(renderHelp(COORDINATOR_OPTIONS));
    return 0;
  }
  let config: CoordinatorConfig;
  try {
    config = parseCoordinatorConfig(variables, argv);
  } catch (error) {
    return failed(error);
  }
  const log = jsonLogger(config.logLevel);
  const stopped = untilStopped(config.exitWithParent);
  try {
    await using coordinator = await startCoordinator(config, { log, clock: systemClock });
    const line = JSON.stringify({ ready: true, address: coordinator.address, dataAddress: coordinator.dataAddress });
    const path = join(config.stateDir, 'coordinator.json');
    await writeFile(path, `${line}\n`, { mode: 0o600 });
    process.stdout.write(`${line}\n`);
    const end = await Promise.race([stopped, coordinator.ended]);
    await rm(path, { force: true });
    return leave(end, log);
  } catch (error) {
    return failed(error);
  }
}

function leave(end: string | Error | undefined, log: Logger): ExitCode {
  if (typeof end === 'string') {
    log.info('coordinator-stops', { because: end });
    return 0;
  }
  log.error('coordinator-ends', { error: end });
  return 1;
}

function failed(error: unknown): ExitCode {
  const hint = isFault(error) && error.hint !== undefined ? `\n${error.hint}` : '';
  const text =
    error instanceof Error ? (isFault(error) && error.code !== 'INTERNAL' ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`${text}${hint}\n`);
  return isFault(error, 'CONFIG_INVALID') ? 2 : 1;
}

/** Why the process is to end: a signal's name, or that its parent has gone. */
function untilStopped(withParent: boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  if (withParent) {
    process.stdin.on('end', () => resolve('parent ended'));
    process.stdin.on('error', () => resolve('parent ended'));
    process.stdin.resume();
  }
  return promise;
}
