import { readFileSync } from 'node:fs';

/**
 * When the process with that id started, in the host's own unit: with the id it names one process for good, since ids are
 * used again. Undefined where there is no such process, or the host does not tell.
 */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; the start time is the 22nd field, the state after the name the third.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
