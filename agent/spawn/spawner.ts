import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { openGuards, type Guard, type GuardHandle } from './guards.ts';
import { startLauncher, type Launcher, type LaunchEnd } from './launcher.ts';
import { findProgram } from './tools.ts';
import { startWatchdog, type Watchdog, type WatchdogTargets } from './watchdog.ts';

/** Idle launchers that are kept for the next step; the others end. */
const IDLE_COUNT_MAX = 4;

/** A script that runs. */
export type Launch = {
  /** The launcher's pid: what the script starts is below it. */
  readonly pid: number;
  /** @throws {Fault} SANDBOX_UNAVAILABLE when the launcher was lost before the script ended. */
  readonly ended: Promise<LaunchEnd>;
  /** Whether its guard's deadline has passed. */
  readonly overdue: boolean;
  /** To be called once nothing of it runs: takes its guard back, and only then lets its launcher run something else. */
  [Symbol.dispose](): void;
};

/**
 * Starts steps from small shells, never from the agent itself: forking a process with a large heap costs tens of
 * milliseconds and stops its event loop. As many launchers as steps run at once; idle ones are reused.
 *
 * When the agent dies, also by `kill -9`, the watchdog kills launchers and what is in the targets' control groups or bears
 * their marker. Where the host has `setpriv`, launchers also die with the agent by themselves, which holds even when the
 * watchdog is killed together with the agent. When the agent stands still, the watchdog ends guarded attempts at their
 * deadlines.
 */
export interface Spawner extends AsyncDisposable {
  /** Whether launchers die with the agent by the kernel's own doing. */
  readonly diesWithAgent: boolean;
  /** Runs a script file of POSIX shell, under `guard` from before it begins. @throws {Fault} SANDBOX_UNAVAILABLE */
  launch(scriptPath: string, guard?: Guard): Promise<Launch>;
}

/** @throws {Fault} SANDBOX_UNAVAILABLE where the host has no POSIX shell. */
export async function openSpawner(targets: WatchdogTargets, env: Env): Promise<Spawner> {
  const shell = findProgram('sh');
  if (shell === undefined) throw new Fault('SANDBOX_UNAVAILABLE', 'The host has no POSIX shell (sh)');
  const setpriv = findProgram('setpriv');
  const command = setpriv === undefined ? [shell] : [setpriv, '--pdeathsig', 'KILL', '--', shell];
  const idle: Launcher[] = [];
  const alive = new Set<Launcher>();
  let closed = false;
  let watchdog: Watchdog;

  const guards = openGuards(env.clock, () => watchdog.guard(guards.list));
  const keepWatchdog = async (): Promise<void> => {
    const started = await startWatchdog(shell, targets);
    watchdog = started;
    tell();
    if (guards.list.length > 0) started.guard(guards.list);
    void started.gone.then(() => {
      if (closed) return;
      env.log.warn('watchdog-lost');
      keepWatchdog().catch((error: unknown) => env.log.error('watchdog-not-restarted', { error }));
    });
  };
  const tell = () => watchdog.watch([...alive].map((launcher) => launcher.pid));
  const start = async (): Promise<Launcher> => {
    const launcher = await startLauncher(command);
    alive.add(launcher);
    tell();
    void launcher.gone.then(() => {
      alive.delete(launcher);
      const index = idle.indexOf(launcher);
      if (index >= 0) idle.splice(index, 1);
      if (!closed) tell();
    });
    return launcher;
  };
  const giveBack = (launcher: Launcher) => {
    if (!alive.has(launcher)) return;
    if (closed || idle.length >= IDLE_COUNT_MAX) launcher.kill();
    else idle.push(launcher);
  };

  await keepWatchdog();
  idle.push(await start());
  return {
    diesWithAgent: setpriv !== undefined,
    async launch(scriptPath, guard) {
      if (closed) throw new Fault('SANDBOX_UNAVAILABLE', 'The sandbox is closed');
      const launcher = idle.pop() ?? (await start());
      return launchOn(launcher, scriptPath, guard === undefined ? undefined : guards.add(guard, launcher.pid), giveBack);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const going = [...alive].map((launcher) => launcher.gone);
      for (const launcher of alive) launcher.kill();
      await Promise.all(going);
      watchdog.dismiss();
      await watchdog.gone;
    },
  };
}

function launchOn(launcher: Launcher, scriptPath: string, guard: GuardHandle | undefined, giveBack: (launcher: Launcher) => void): Launch {
  const ended = launcher.run(scriptPath);
  return {
    pid: launcher.pid,
    ended,
    get overdue() {
      return guard?.overdue ?? false;
    },
    [Symbol.dispose]() {
      // The watchdog may be at work on it: nobody else's processes may be below it then.
      if (guard?.overdue === true) launcher.kill();
      else giveBack(launcher);
      guard?.[Symbol.dispose]();
    },
  };
}
