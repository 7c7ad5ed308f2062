import { readdirSync, readFileSync } from 'node:fs';

/** What we read of a process in /proc. */
export type ProcessInfo = {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly zombie: boolean;
  readonly residentPages: number;
  /** Of the process and of its children that it has waited for, in ticks of a hundredth of a second. */
  readonly cpuTicks: number;
};

/** Every process that this one can see; those that end meanwhile are left out. */
export function listProcesses(): readonly ProcessInfo[] {
  const processes: ProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^[1-9][0-9]*$/.test(name)) continue;
    const info = readProcess(Number(name));
    if (info !== undefined) processes.push(info);
  }
  return processes;
}

function readProcess(pid: number): ProcessInfo | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name in parentheses may hold anything: fields are counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parent, group, session] = fields.slice(1, 4).map(Number);
  const cpuTicks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  if (parent === undefined || group === undefined || session === undefined) return undefined;
  return { pid, parent, group, session, zombie: fields[0] === 'Z', residentPages: Number(fields[21] ?? 0), cpuTicks };
}

/** The processes below `ancestor`, nearest first, without itself. Those that were left to another parent are not among them. */
export function descendantsOf(ancestor: number, processes: readonly ProcessInfo[]): readonly ProcessInfo[] {
  const children = Map.groupBy(processes, (process) => process.parent);
  const found = [...(children.get(ancestor) ?? [])];
  // `found` grows while it is walked; a process has one parent, so each comes once.
  for (const process of found) found.push(...(children.get(process.pid) ?? []));
  return found;
}

/** The processes whose first environment, as they were started with, has the variable `entry` (`NAME=value`). */
export function processesWithEnv(entry: string, processes: readonly ProcessInfo[]): readonly ProcessInfo[] {
  return processes.filter((process) => readText(`/proc/${process.pid}/environ`)?.split('\0').includes(entry) ?? false);
}

/** Sends `signal` to a process, or to a group given as a negative number; whether there was one to get it. */
export function sendSignal(target: number, signal: NodeJS.Signals): boolean {
  // 0 and -1 mean "my own group" and "everybody": no bookkeeping slip may get there.
  if (target === 0 || target === -1) return false;
  try {
    process.kill(target, signal);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
