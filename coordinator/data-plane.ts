import { spawn, type ChildProcess } from 'node:child_process';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { backoffMs } from '../base/backoff.ts';
import type { Env } from '../base/env.ts';
import { Fault } from '../base/fault.ts';
import { prngFrom } from '../base/prng.ts';
import { sleep } from './shell/sleep.ts';

export type DataPlaneProcessOptions = {
  /** host:port; with port 0 the first start takes a free one, and later starts the same. */
  readonly listen: string;
  /** Options of `cache/main.ts` beside the address. */
  readonly args: readonly string[];
  /** Done before every start. */
  readonly prepare: () => Promise<void>;
  /** Work of ours that takes about as long as the process takes to start: it is done meanwhile. */
  readonly meanwhile: () => void;
  readonly env: Env;
};

/** The data plane as a process of its own, started again whenever it ends. */
export interface DataPlaneProcess extends AsyncDisposable {
  /** Where it listens; the same for as long as this lives. */
  readonly address: string;
  /** Its process id at the moment; undefined between two runs. */
  readonly pid: number | undefined;
  /** Where actions are to be handed on to: tells the process, and each that takes its place. */
  relayTo(coordinator: string): void;
}

/** It waits up to 15 s for a bucket that is away, and begins together with much else on a busy host. */
const READY_MS = 60_000;
const STOP_MS = 5_000;
const RESTART = { initialMs: 200, maxMs: 5_000 };

/**
 * Starts the data plane; returns when it listens. Its standard input is a pipe from this process, whose end tells it to stop:
 * so it does not outlive a coordinator that was killed.
 * @throws {Fault} PEER_UNAVAILABLE where it does not come up.
 */
export async function startDataPlane(options: DataPlaneProcessOptions): Promise<DataPlaneProcess> {
  const stopping = new AbortController();
  let current = await startOnce(options.listen, options);
  const { address } = current;
  let coordinator: string | undefined;
  const tell = () => {
    if (coordinator !== undefined) current.child.stdin?.write(`${coordinator}\n`);
  };
  const supervised = supervise();
  return {
    address,
    get pid() {
      return current.child.exitCode === null ? current.child.pid : undefined;
    },
    relayTo(to) {
      coordinator = to;
      tell();
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await stop(current.child);
      await supervised;
      await stop(current.child); // the one that was being started again meanwhile
    },
  };

  async function supervise(): Promise<void> {
    const prng = prngFrom(process.pid);
    for (let failures = 0; !stopping.signal.aborted;) {
      const startedAt = options.env.clock.monotonic();
      const how = await ended(current.child);
      if (stopping.signal.aborted) return;
      failures = options.env.clock.monotonic() - startedAt > RESTART.maxMs ? 0 : failures + 1;
      options.env.log.error('data-plane-ended', { how, failures });
      await sleep(backoffMs(RESTART, failures, prng) + 50, stopping.signal);
      try {
        if (stopping.signal.aborted) continue;
        current = await startOnce(address, options);
        tell();
      } catch (error) {
        options.env.log.error('data-plane-not-started', { error });
      }
    }
  }
}

type Running = { readonly child: ChildProcess; readonly address: string };

async function startOnce(listen: string, options: DataPlaneProcessOptions): Promise<Running> {
  await options.prepare();
  const main = join(import.meta.dirname, '..', 'cache', `main${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, [main, '--listen', listen, ...options.args], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it ended; `ended` tells
  try {
    const ready = readyLine(child);
    options.meanwhile();
    const address = await ready;
    options.env.log.info('data-plane-ready', { address, pid: child.pid });
    return { child, address };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

async function readyLine(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (why: string) => reject(new Fault('PEER_UNAVAILABLE', `The data plane did not start: ${why}`));
  const timer = setTimeout(() => fail(`not ready after ${READY_MS} ms`), READY_MS);
  child.once('error', (error) => fail(error.message));
  child.once('exit', (code, signal) => fail(`it ended with ${signal ?? `code ${code}`}; its messages are above`));
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const address = addressIn(line);
      if (address !== undefined) resolve(address);
    });
  }
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function addressIn(line: string): string | undefined {
  try {
    const ready: unknown = JSON.parse(line);
    if (typeof ready === 'object' && ready !== null && 'ready' in ready && 'address' in ready && typeof ready.address === 'string')
      return ready.address;
  } catch {
    // not the ready line
  }
  return undefined;
}

async function ended(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return child.signalCode ?? `code ${child.exitCode}`;
}

/** Asks the process to end, and kills it where it does not. */
async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended(child);
  clearTimeout(timer);
}
