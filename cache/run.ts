import { fstatSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { isFault } from '../base/fault.ts';
import { jsonLogger } from '../base/log.ts';
import type { Environment } from '../base/options.ts';
import { renderHelp } from '../base/options-text.ts';
import { CACHE_OPTIONS, parseCacheConfig } from './config.ts';
import { startCache } from './start.ts';

/**
 * The whole life of a data plane's process, from its options to its exit code: 0 told to stop, 1 could not go on, 2 wrong
 * configuration. When it listens it prints `{"ready":true,"address":...}`, one line, on standard output. It ends on SIGTERM
 * and SIGINT, and with its parent: when standard input is a pipe and that closes.
 */
export async function runCache(argv: readonly string[], environment: Environment): Promise<0 | 1 | 2> {
  if (argv.includes('--help')) {
    process.stdout.write(renderHelp(CACHE_OPTIONS));
    return 0;
  }
  try {
    const config = parseCacheConfig(environment, argv);
    const log = jsonLogger(config.logLevel);
    const stopped = untilStopped();
    await using cache = await startCache(config, { log, clock: systemClock });
    process.stdout.write(`${JSON.stringify({ ready: true, address: cache.address })}\n`);
    log.info('data-plane-stops', { because: await stopped });
    return 0;
  } catch (error) {
    const known = isFault(error) && error.code !== 'INTERNAL';
    const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
    process.stderr.write(`${text}\n`);
    return isFault(error, 'CONFIG_INVALID') ? 2 : 1;
  }
}

/** Why the process is to end. */
async function untilStopped(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) {
    process.stdin.on('end', () => resolve('its parent ended'));
    process.stdin.on('error', () => resolve('its parent ended'));
    process.stdin.resume();
  }
  return promise;
}
