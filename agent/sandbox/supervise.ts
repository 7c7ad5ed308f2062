import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../base/log.ts';
import type { LaunchEnd } from '../spawn/launcher.ts';
import { descendantsOf, listProcesses, processesWithEnv, sendSignal } from '../spawn/processes.ts';
import type { Cgroup } from './cgroup.ts';
import { StopRequest } from './sandbox.ts';

/** The longest that a timer of Node can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const KILL_ROUND_MS = 10;
/** About ten seconds: longer, and the process hangs in the kernel, out of anybody's reach. */
const KILL_ROUNDS_MAX = 1000;
/** The first look at a step's processes, and the most between two; each wait is twice the one before. */
const SAMPLE_MS = { first: 25, most: 500 };

/** The first process of a pid namespace: its pid here, and the namespace as the kernel numbers it, where that is known. */
export type NamespaceInit = { readonly pid: number; readonly namespace: string | undefined };

/** All that belongs to an attempt, by every handle that we have on it. */
export type ProcessTree = {
  /** The parent of everything that did not daemonise; not a part of the tree. */
  readonly launcher: number;
  readonly cgroup: Cgroup | undefined;
  readonly marker: string | undefined;
  /** Whether killing the launcher's child takes everything else with it. */
  readonly namespaced: boolean;
  /** The first process of the attempt's pid namespace, once known. */
  readonly namespaceInit: () => NamespaceInit | undefined;
};

export type TimeLimits = { readonly runTimeoutMs: number; readonly graceMs: number };

/**
 * Waits for the end of the run, or ends it: TERM to the step at the time limit or when `signal` aborts, KILL to the whole
 * tree after the grace time.
 * @throws {Fault} what `ended` rejects with.
 */
export async function supervise(
  ended: Promise<LaunchEnd>,
  tree: ProcessTree,
  limits: TimeLimits,
  signal: AbortSignal,
): Promise<'exited' | 'timed-out' | 'cancelled'> {
  const over = new AbortController();
  // Its rejection is seen through `exited`; without this, one that comes while nobody waits would end the process.
  const exited = ended.then(() => 'exited' as const).finally(() => over.abort());
  exited.catch(() => {});
  const cancelled = new Promise<'cancelled'>((resolve) => {
    // It may have aborted while the launcher was waited for.
    if (signal.aborted) resolve('cancelled');
    else signal.addEventListener('abort', () => resolve('cancelled'), { once: true, signal: over.signal });
  });
  const first = await Promise.race([exited, cancelled, after(limits.runTimeoutMs, 'timed-out' as const, over.signal)]);
  if (first === 'exited') return first;
  terminate(tree.launcher);
  const graceMs = first === 'cancelled' && signal.reason instanceof StopRequest ? signal.reason.graceMs : limits.graceMs;
  if ((await Promise.race([exited, after(graceMs, 'still-there' as const, over.signal)])) === 'exited') return first;
  for (let round = 0; round < KILL_ROUNDS_MAX; round += 1) {
    // A whole namespace at once, so that no shell of the step remarks in the log on children that were killed before it.
    if (tree.namespaced && round === 0) killChildren(tree.launcher);
    else killOnce(tree, true);
    if ((await Promise.race([exited, after(KILL_ROUND_MS, 'still-there' as const, over.signal)])) === 'exited') return first;
  }
  sendSignal(tree.launcher, 'SIGKILL');
  await exited;
  return first;
}

async function after<T>(ms: number, value: T, signal: AbortSignal): Promise<T> {
  try {
    return await delay(Math.min(ms, TIMER_MS_MAX), value, { signal });
  } catch {
    return value; // the run has ended and the race is over
  }
}

/** TERM to the step's session: the topmost session leaders below the launcher, with their groups. */
function terminate(launcher: number): void {
  const below = descendantsOf(launcher, listProcesses());
  const leaders = below.filter((process) => process.session === process.pid);
  const leader = leaders[0];
  if (leader !== undefined) sendSignal(-leader.group, 'SIGTERM');
  else for (const process of below) sendSignal(process.pid, 'SIGTERM'); // still being set up
}

function killChildren(launcher: number): void {
  for (const process of listProcesses()) if (process.parent === launcher) sendSignal(process.pid, 'SIGKILL');
}

/** KILL to whatever of the tree is there; whether anything was. `whileRunning`: the launcher still has its child. */
function killOnce(tree: ProcessTree, whileRunning: boolean): boolean {
  let found = tree.cgroup?.kill() ?? false;
  const init = tree.namespaceInit();
  if (init !== undefined && isAlive(init)) {
    found = true;
    sendSignal(init.pid, 'SIGKILL');
  }
  if (!whileRunning && tree.marker === undefined) return found;
  const processes = listProcesses().filter((process) => !process.zombie);
  const marked = tree.marker === undefined ? [] : processesWithEnv(tree.marker, processes);
  const below = whileRunning ? descendantsOf(tree.launcher, processes) : [];
  for (const process of [...below, ...marked]) found = sendSignal(process.pid, 'SIGKILL') || found;
  return found;
}

/** After the end of the step's own process: kills what is left and returns once nothing is. */
export async function killTree(tree: ProcessTree, log: Logger): Promise<void> {
  for (let round = 0; round < KILL_ROUNDS_MAX; round += 1) {
    if (!killOnce(tree, false)) return;
    await delay(round < 5 ? 1 : KILL_ROUND_MS);
  }
  log.error('processes-left-behind', { launcher: tree.launcher });
}

/**
 * A process that is a zombie has ended: of a namespace's first one, all others have before. Its pid may be another's by now, above
 * all where this process stood still meanwhile: whoever is not number 1 somewhere below, or is so elsewhere, is not it.
 */
function isAlive({ pid, namespace }: NamespaceInit): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return false;
  }
  if (/^State:\s*[ZX]/m.test(status)) return false;
  const numbers = /^NSpid:\s*(.*)$/m.exec(status)?.[1]; // one for each namespace from ours down
  if (numbers !== undefined && !/\s1$/.test(numbers)) return false;
  try {
    return namespace === undefined || readlinkSync(`/proc/${pid}/ns/pid`) === `pid:[${namespace}]`;
  } catch {
    return existsSync(`/proc/${pid}`); // not ours to look at, or just gone
  }
}

/** What looking at the processes now and then has shown. */
export interface UsageSampler extends Disposable {
  readonly peakMemoryBytes: number;
  readonly cpuMs: number;
}

const PAGE_BYTES = 4096;
const TICK_MS = 10;

/**
 * Looks now and then at what the processes below the launcher take, where no control group counts it: short peaks and
 * what comes after the last look are missed. So the looks come early: bubblewrap may end without having waited for the
 * step, whose time then counts as nobody's.
 */
export function sampleUsage(launcher: number): UsageSampler {
  let peakMemoryBytes = 0;
  let cpuMs = 0;
  let waitMs = SAMPLE_MS.first;
  const look = () => {
    const processes = descendantsOf(launcher, listProcesses());
    peakMemoryBytes = Math.max(peakMemoryBytes, PAGE_BYTES * processes.reduce((sum, process) => sum + process.residentPages, 0));
    cpuMs = Math.max(cpuMs, TICK_MS * processes.reduce((sum, process) => sum + process.cpuTicks, 0));
    waitMs = Math.min(waitMs * 2, SAMPLE_MS.most);
    timer = setTimeout(look, waitMs);
  };
  let timer = setTimeout(look, waitMs);
  return {
    get peakMemoryBytes() {
      return peakMemoryBytes;
    },
    get cpuMs() {
      return cpuMs;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
