import { readdirSync, readFileSync } from 'node:fs';

/** A process of this host; the start time tells it from a later one with the same id. */
export type ProcessMark = { readonly pid: number; readonly startTime: string; readonly commandLine: string };

type Entry = ProcessMark & { readonly parent: number };

/** Everything that descends from the process now, without itself. */
export function descendantsOf(pid: number): readonly ProcessMark[] {
  const all = everything();
  const found: Entry[] = [];
  const parents = new Set([pid]);
  // Children come after their parents in no order that could be relied upon.
  for (let grown = true; grown;) {
    grown = false;
    for (const entry of all) {
      if (!parents.has(entry.parent) || parents.has(entry.pid)) continue;
      parents.add(entry.pid);
      found.push(entry);
      grown = true;
    }
  }
  return found;
}

/** Those that still run. A zombie does not: it only waits for init to look. */
export function stillRunning(marks: readonly ProcessMark[]): readonly ProcessMark[] {
  const now = new Map(everything().map((entry) => [entry.pid, entry.startTime]));
  return marks.filter((mark) => now.get(mark.pid) === mark.startTime);
}

function everything(): readonly Entry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => entryOf(Number(name)))
    .filter((entry) => entry !== undefined);
}

function entryOf(pid: number): Entry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; the fields after it are numbered from the state, which is the third.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = '', parent = '', startTime = ''] = [fields[0], fields[1], fields[19]];
    if (state === 'Z' || state === 'X') return undefined;
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), startTime, commandLine };
  } catch {
    return undefined; // it has ended meanwhile
  }
}

/** The most memory that the process had at any time, in bytes. */
export function peakMemoryOf(pid: number): number {
  const kib = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} has no memory of its own`);
  return Number(kib) * 1024;
}
