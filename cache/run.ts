import { fstatSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../base/clock.ts';
import { jsonLogger } from '../base/log.ts';
import type { Environment } from '../base/options.ts';
import { renderHelp } from '../base/options-text.ts';
import { failed, untilStopped, type ExitCode } from '../base/program.ts';
import { CACHE_OPTIONS, parseCacheConfig } from './config.ts';
import { countBuffersWithHeap } from './heap-flags.ts';
import { startCache } from './start.ts';

/**
 * The whole life of a data plane's process, from its options to its exit code: 0 told to stop, 1 could not go on, 2 wrong
 * configuration. When it listens it prints `{"ready":true,"address":...}`, one line, on standard output. It ends on SIGTERM
 * and SIGINT, and with its parent: when standard input is a pipe and that closes. What the parent writes there, a line each, are
 * addresses of its own, for actions to be handed on to; the newest counts.
 */
export async function runCache(argv: readonly string[], environment: Environment): Promise<ExitCode> {
  if (argv.includes('--help')) {
    process.stdout.write(renderHelp(CACHE_OPTIONS));
    return 0;
  }
  countBuffersWithHeap();
  try {
    const config = parseCacheConfig(environment, argv);
    const log = jsonLogger(config.logLevel);
    const stopped = untilStopped(isPipe(0));
    await using cache = await startCache(config, { log, clock: systemClock });
    if (isPipe(0)) createInterface({ input: process.stdin }).on('line', (line) => cache.relayTo(line));
    const { address, httpAddress, metricsAddress: metrics } = cache;
    process.stdout.write(`${JSON.stringify({ ready: true, address, httpAddress, metrics })}\n`);
    log.info('data-plane-stops', { because: await stopped });
    return 0;
  } catch (error) {
    return failed(error);
  }
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
