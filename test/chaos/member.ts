import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '../fixtures/run-process.ts';

/** A process of the yard under something like an init system: when it ends without being told to, it is started again. */
export interface Member extends AsyncDisposable {
  readonly name: string;
  /** The one that runs now, or ran last. */
  readonly process: RunningProcess;
  readonly up: boolean;
  /** How often it has ended by itself, and how the last time. */
  readonly falls: readonly string[];
  /** Sends the signal and waits until it has ended; it stays down. */
  down(signal: NodeJS.Signals): Promise<void>;
  start(): void;
}

/** As an init system waits, so that a process that cannot start does not keep the host busy. */
const RESTART_MS = 1_000;

export function startMember(name: string, spawn: () => RunningProcess): Member {
  const stopping = new AbortController();
  const falls: string[] = [];
  let wanted = true;
  let current = spawn();
  void watch(current);
  async function watch(process: RunningProcess): Promise<void> {
    const { code, signal } = await process.ended;
    if (!wanted || stopping.signal.aborted) return;
    falls.push(signal ?? `code ${code}`);
    await sleep(RESTART_MS, undefined, { signal: stopping.signal }).catch(() => {});
    if (wanted && current === process && !stopping.signal.aborted) begin();
  }
  function begin(): void {
    current = spawn();
    void watch(current);
  }
  return {
    name,
    falls,
    get process() {
      return current;
    },
    get up() {
      return wanted;
    },
    async down(signal) {
      wanted = false;
      current.kill(signal);
      await current.ended;
    },
    start() {
      if (wanted) return;
      wanted = true;
      begin();
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      wanted = false;
      await current[Symbol.asyncDispose]();
    },
  };
}
