import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { LaunchEnd } from '../spawn/launcher.ts';
import type { Launch, Spawner } from '../spawn/spawner.ts';
import { LAUNCH_FILE, OVERDUE_FILE } from '../spawn/watchdog.ts';
import { checkCommand, quote, quoteAll } from '../spawn/words.ts';
import { removeTree } from '../workspace/remove.ts';
import type { Cgroup, Cgroups } from './cgroup.ts';
import { killTree, sampleUsage, supervise, type NamespaceInit } from './supervise.ts';
import type { SandboxExit, SandboxRun } from './sandbox.ts';

/** What all attempts of one sandbox share. */
export type AttemptHost = {
  readonly spawner: Spawner;
  readonly cgroups: Cgroups | undefined;
  /** Where attempts keep what they need beside their input root. */
  readonly dir: string;
  readonly pidsCountMax: number;
  /** `NAME=value` where neither a pid namespace nor a control group holds an attempt: its processes carry this and the attempt's id. */
  readonly marker: string | undefined;
  readonly env: Env;
};

/** The directory of one attempt; gone when the attempt is. */
export type Scratch = {
  readonly directory: string;
  readonly home: string;
  /** The command may tell here, on descriptor 3, how far it came. */
  readonly status: string;
  /** `NAME=value` that the attempt's processes must carry, and no others do; undefined = none is needed. */
  readonly marker: string | undefined;
};

/** How a sandbox starts the step. */
export type AttemptPlan = {
  /** Starts the step, whatever it takes; in the foreground. */
  readonly command: readonly string[];
  /** Where that starts, on the host. */
  readonly directory: string;
  /** Whether killing what the launcher started takes everything else with it. */
  readonly namespaced: boolean;
  /** Whether `status` says that the step's own command was reached. */
  readonly reached: (status: string) => boolean;
  /** The first process of the step's pid namespace: when it is gone, all of them are. */
  readonly namespaceInit: (status: string) => NamespaceInit | undefined;
};

/** Shell that runs inside, shortly before the step's command: no core dumps, and a plain 127 for a missing program. */
export const INNERMOST = 'ulimit -c 0; exec "$@"';

/**
 * Words for the program `env` that set variables and run `command`. Goes after the innermost shell, because shells drop
 * variables whose names they could not have themselves.
 */
export function withVariables(
  envWords: readonly string[],
  variables: readonly (readonly [string, string])[],
  command: readonly string[],
): readonly string[] {
  // `env` would take a program with "=" in its name for one more variable.
  const program = command[0]?.includes('=') === true ? ['/bin/sh', '-c', 'exec "$@"', 'sh', ...command] : command;
  return [...envWords, ...variables.map(([name, value]) => `${name}=${value}`), ...program];
}

/**
 * Runs one attempt: scratch directory, control group, launch, time limits, killing what is left, accounting, tidying up.
 * @throws {Fault} as `Sandbox.run`.
 */
export async function runAttempt(
  host: AttemptHost,
  spec: SandboxRun,
  signal: AbortSignal,
  plan: (scratch: Scratch) => AttemptPlan,
): Promise<SandboxExit> {
  checkCommand(spec.command, spec.env);
  checkPlaces(spec);
  if (signal.aborted) return { kind: 'cancelled', cpuMs: 0, peakMemoryBytes: 0 };
  const id = crypto.randomUUID();
  const scratch = makeScratch(join(host.dir, id), host.marker === undefined ? undefined : `${host.marker}.${id}`);
  try {
    using group = groupOf(host, id, spec);
    return await runPlanned(host, spec, signal, plan(scratch), { ...scratch, id, cgroup: group.cgroup });
  } finally {
    await removeScratch(scratch);
  }
}

/** Most steps leave their HOME empty: then this is done without a wait. */
async function removeScratch(scratch: Scratch): Promise<void> {
  try {
    rmSync(scratch.status, { force: true });
    rmSync(join(scratch.directory, LAUNCH_FILE), { force: true });
    rmSync(join(scratch.directory, OVERDUE_FILE), { force: true });
    rmdirSync(scratch.home);
    rmdirSync(scratch.directory);
  } catch {
    await removeTree(scratch.directory);
  }
}

async function runPlanned(
  host: AttemptHost,
  spec: SandboxRun,
  signal: AbortSignal,
  plan: AttemptPlan,
  scratch: Scratch & { readonly id: string; readonly cgroup: Cgroup | undefined },
): Promise<SandboxExit> {
  const { cgroup } = scratch;
  const script = join(scratch.directory, LAUNCH_FILE);
  writeFileSync(script, launchScript(plan, spec, scratch.status, cgroup?.procsFiles ?? []), { mode: 0o600 });
  const guard = spec.deadline === undefined ? undefined : { id: scratch.id, deadline: spec.deadline };
  using launch = await host.spawner.launch(script, guard);
  // Before the launcher may run something else: the watchdog, which may be at work, must not take that for this attempt.
  using _over = { [Symbol.dispose]: () => rmSync(script, { force: true }) };
  const status = () => (existsSync(scratch.status) ? readFileSync(scratch.status, 'latin1') : '');
  const tree = {
    launcher: launch.pid,
    cgroup,
    marker: scratch.marker,
    namespaced: plan.namespaced,
    namespaceInit: () => plan.namespaceInit(status()),
  };
  using sampler = cgroup === undefined || host.cgroups?.limitsMemory !== true ? sampleUsage(launch.pid) : undefined;
  let ending: 'exited' | 'timed-out' | 'cancelled';
  try {
    ending = await supervise(launch.ended, tree, spec, signal);
  } finally {
    await killTree(tree, host.env.log);
  }
  const end = await launch.ended;
  const used = cgroup?.usage();
  const usage = {
    cpuMs: used?.cpuMs ?? Math.max(end.cpuMs, sampler?.cpuMs ?? 0),
    peakMemoryBytes: used?.peakMemoryBytes ?? sampler?.peakMemoryBytes ?? 0,
  };
  if (ending !== 'exited') return { kind: ending, ...usage };
  if (guard !== undefined && endedByWatchdog(launch, end, scratch)) return { kind: 'overdue', ...usage };
  const oom = (used?.oomKillCount ?? 0) > 0;
  if (!plan.reached(status()) && !oom) throw notReached(end, spec);
  return { kind: 'exited', code: end.code, signal: signalOf(end.code), oom, ...usage };
}

/** A command that came to its good end before the watchdog looked has ended well, however late this process hears of it. */
function endedByWatchdog(launch: Launch, end: LaunchEnd, scratch: Scratch): boolean {
  if (end.code === 0) return false;
  // A full disk takes no file: then the signal and the time tell as much.
  return existsSync(join(scratch.directory, OVERDUE_FILE)) || (launch.overdue && signalOf(end.code) === 'SIGKILL');
}

function notReached(end: LaunchEnd, spec: SandboxRun): Fault {
  return new Fault('SANDBOX_UNAVAILABLE', `The sandbox could not be set up for ${spec.command[0] ?? ''} (status ${end.code})`, {
    hint: 'The last line of the log says why.',
  });
}

function launchScript(plan: AttemptPlan, { logFd, errorFd }: SandboxRun, status: string, procsFiles: readonly string[]): string {
  const enter = procsFiles.map((file) => `echo 0 >${quote(file)} && `).join('');
  // Opened anew through /proc, so that the step's file has its own offset and the agent's may be closed.
  const opened = (fd: number) => `>>/proc/${process.pid}/fd/${fd}`;
  const error = errorFd === undefined ? '2>&1' : `2${opened(errorFd)}`;
  return `( ${enter}cd ${quote(plan.directory)} && exec ${quoteAll(plan.command)} ) </dev/null ${opened(logFd)} ${error} 3>${quote(status)}\n`;
}

function makeScratch(directory: string, marker: string | undefined): Scratch {
  const home = join(directory, 'home');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return { directory, home, status: join(directory, 'status'), marker };
}

/** The attempt's control group, removed at the end of the scope. */
function groupOf(host: AttemptHost, id: string, spec: SandboxRun): { readonly cgroup: Cgroup | undefined } & Disposable {
  const memoryBytes = spec.resources.memoryBytes > 0 ? spec.resources.memoryBytes : undefined;
  let cgroup: Cgroup | undefined;
  try {
    cgroup = host.cgroups?.create(id, { memoryBytes, pidsCount: host.pidsCountMax });
  } catch (cause) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'The control group of the attempt cannot be made', { cause });
  }
  return {
    cgroup,
    [Symbol.dispose]() {
      if (cgroup?.remove() === false) host.env.log.warn('cgroup-left-behind', { id });
    },
  };
}

/** @throws {Fault} BAD_REQUEST where the log is not a file; PATH_ESCAPES, BAD_REQUEST for the working directory. */
function checkPlaces(spec: SandboxRun): void {
  for (const fd of [spec.logFd, spec.errorFd]) if (fd !== undefined) fstatSync(fd);
  const field = 'workingDirectory';
  const path = join(spec.root, spec.workingDirectory);
  const quoted = JSON.stringify(spec.workingDirectory);
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    throw new Fault('BAD_REQUEST', `The working directory ${quoted} is not in the inputs`, {
      field,
      hint: 'Add a file in it to the inputs.',
    });
  }
  const root = realpathSync(spec.root);
  const real = realpathSync(path);
  if (real !== root && !real.startsWith(root + sep)) {
    throw new Fault('PATH_ESCAPES', `The working directory ${quoted} leads out of the input root`, { field });
  }
}

const SIGNALS = new Map<number, string>([
  [1, 'SIGHUP'],
  [2, 'SIGINT'],
  [3, 'SIGQUIT'],
  [4, 'SIGILL'],
  [5, 'SIGTRAP'],
  [6, 'SIGABRT'],
  [7, 'SIGBUS'],
  [8, 'SIGFPE'],
  [9, 'SIGKILL'],
  [10, 'SIGUSR1'],
  [11, 'SIGSEGV'],
  [12, 'SIGUSR2'],
  [13, 'SIGPIPE'],
  [14, 'SIGALRM'],
  [15, 'SIGTERM'],
  [24, 'SIGXCPU'],
  [25, 'SIGXFSZ'],
  [31, 'SIGSYS'],
]);

/** The signal that a status of a shell stands for. A command may also end with such a code by itself; nobody can tell. */
function signalOf(code: number): string | undefined {
  return code > 128 ? SIGNALS.get(code - 128) : undefined;
}

/** An empty log file for runs whose output nobody keeps, such as probes. */
export function openLog(path: string): { readonly fd: number } & Disposable {
  const fd = openSync(path, 'a', 0o600);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
