import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { Fault } from '../../base/fault.ts';
import { withoutLeaks } from './descriptors.ts';
import { SYSTEM_PATH } from './tools.ts';

/** Words that are in the command line of a launcher and of no other process, should somebody ask whose a pid is. */
export const LAUNCHER_SIGN = 'IFS= read -r file; do . "$file"';

/**
 * The whole program of a launcher: for each line read, run that file in this shell, tell its status and the CPU time of
 * all children so far. It needs no more than a POSIX shell, holds about 1 MB, and forks in well under a millisecond.
 */
const LOOP = `while ${LAUNCHER_SIGN}; printf 'exit %s\\n' "$?"; times; done`;

/** How a script ended. `code` is 128 + n after signal n. */
export type LaunchEnd = { readonly code: number; readonly cpuMs: number };

/**
 * A shell that runs one script after the other, each in the foreground, so that what it starts has the default signal
 * handling. It is in a session of its own (a Ctrl-C on the agent's terminal does not reach it), gets nothing of the agent's
 * environment or open files, and ends when its standard input does.
 */
export interface Launcher {
  readonly pid: number;
  /**
   * Runs the script file; only once the one before has ended.
   * @throws {Fault} SANDBOX_UNAVAILABLE when the launcher is lost before the script ends.
   */
  run(scriptPath: string): Promise<LaunchEnd>;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;
  /** Ends it at once, with what it runs where that dies with its parent. */
  kill(): void;
}

/** `shell` is the program with its arguments; `-c` and the loop are added. @throws {Fault} SANDBOX_UNAVAILABLE */
export async function startLauncher(shell: readonly string[]): Promise<Launcher> {
  const [program = '/bin/sh', ...args] = shell;
  using streams = withoutLeaks(['pipe', 'pipe', 'ignore']);
  const child = spawn(program, [...args, '-c', LOOP], {
    cwd: '/',
    detached: true,
    env: { PATH: SYSTEM_PATH },
    stdio: streams.stdio,
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(new Fault('SANDBOX_UNAVAILABLE', `Cannot start ${program}: ${cause.message}`, { cause })));
  });
  return launcherOver(child);
}

type Waiting = { readonly resolve: (end: LaunchEnd) => void; readonly reject: (fault: Fault) => void };

function launcherOver(child: ChildProcess & { stdin: Writable | null; stdout: Readable | null }): Launcher {
  const { pid, stdin, stdout } = child;
  if (pid === undefined || stdin === null || stdout === null) throw new Fault('SANDBOX_UNAVAILABLE', 'The launcher has no pipes');
  let waiting: Waiting | undefined;
  let lines: string[] = [];
  let rest = '';
  let cpuBefore = 0;
  let lost = false;
  const gone = Promise.withResolvers<void>();
  const lose = () => {
    lost = true;
    waiting?.reject(new Fault('SANDBOX_UNAVAILABLE', 'The process that starts steps was lost while the step ran'));
    waiting = undefined;
    gone.resolve();
  };
  stdout.setEncoding('latin1');
  stdout.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    // Status, own times, children's times.
    if (lines.length < 3) return;
    const code = Number(lines[0]?.slice('exit '.length));
    const cpuTotal = cpuMsOf(lines[2] ?? '');
    lines = [];
    waiting?.resolve({ code, cpuMs: Math.max(0, Math.round(cpuTotal - cpuBefore)) });
    cpuBefore = cpuTotal;
    waiting = undefined;
  });
  stdin.on('error', () => {}); // a lost launcher shows as its exit, below
  child.once('exit', lose);
  return {
    pid,
    gone: gone.promise,
    kill: () => void child.kill('SIGKILL'),
    run(scriptPath) {
      if (lost) return Promise.reject(new Fault('SANDBOX_UNAVAILABLE', 'The process that starts steps is gone'));
      const ended = Promise.withResolvers<LaunchEnd>();
      waiting = ended;
      stdin.write(`${scriptPath}\n`);
      return ended.promise;
    },
  };
}

/** `1m2.500s 0m0.250s` (user, system) as milliseconds. */
function cpuMsOf(line: string): number {
  return [...line.matchAll(/([0-9]+)m([0-9]+(?:[.,][0-9]+)?)s/g)]
    .map(([, minutes, seconds]) => Number(minutes) * 60_000 + Number(seconds?.replace(',', '.')) * 1000)
    .reduce((sum, ms) => sum + ms, 0);
}
