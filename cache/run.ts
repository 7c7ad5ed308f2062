import { fstatSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../base/clock.ts';
import type { Env } from '../base/env.ts';
import { jsonLogger } from '../base/log.ts';
import type { Environment } from '../base/options.ts';
import { renderHelp } from '../base/options-text.ts';
import { failed, untilStopped, type ExitCode } from '../base/program.ts';
import { CACHE_OPTIONS, parseCacheConfig } from './config.ts';
import { countBuffersWithHeap, growHeapBy } from './heap-flags.ts';
import type { Ready } from './processes/messages.ts';
import { startProcesses } from './processes/primary.ts';
import { workerHere } from './processes/worker.ts';
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
  growHeapBy(200);
  try {
    const config = parseCacheConfig(environment, argv);
    const log = jsonLogger(config.logLevel);
    const stopped = untilStopped(isPipe(0));
    const worker = workerHere();
    if (config.processes > 1 && worker === undefined) return await runSeveral(config.processes, argv, stopped, { log, clock: systemClock });
    await using cache = await startCache(config, { log, clock: systemClock }, worker?.others);
    const { address, httpAddress, metricsAddress: metrics } = cache;
    const relayTo = (coordinator: string) => cache.relayTo(coordinator);
    if (worker === undefined) sayReady({ address, httpAddress, metrics }, relayTo);
    else {
      worker.onRelay(relayTo);
      worker.listening({ address, httpAddress, metrics });
    }
    log.info('data-plane-stops', { because: await stopped });
    return 0;
  } catch (error) {
    return failed(error);
  }
}

/** As `runCache`, by so many processes that this one starts. */
async function runSeveral(count: number, argv: readonly string[], stopped: Promise<string>, env: Env): Promise<ExitCode> {
  await using processes = await startProcesses(count, argv, env);
  sayReady(processes.ready, (coordinator) => processes.relayTo(coordinator));
  const why = await Promise.race([processes.failed.then((failure) => ({ failure })), stopped]);
  if (typeof why === 'string') {
    env.log.info('data-plane-stops', { because: why });
    return 0;
  }
  env.log.error('data-plane-stops', { because: why.failure });
  return 1;
}

/** Tells the parent that we listen, and takes its word on where actions go. */
function sayReady(ready: Ready, relayTo: (coordinator: string) => void): void {
  if (isPipe(0)) createInterface({ input: process.stdin }).on('line', relayTo);
  process.stdout.write(`${JSON.stringify({ ready: true, ...ready })}\n`);
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
