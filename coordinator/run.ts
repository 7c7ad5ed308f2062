import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { jsonLogger, type Logger } from '../base/log.ts';
import type { Environment } from '../base/options.ts';
import { renderHelp } from '../base/options-text.ts';
import { failed, untilStopped, type ExitCode } from '../base/program.ts';
import { COORDINATOR_OPTIONS, parseCoordinatorConfig, type CoordinatorConfig } from './config.ts';
import { startCoordinator } from './start.ts';

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
