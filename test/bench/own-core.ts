import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Gives the process the last core that this one may use, and keeps this one and what it starts from now on off it: as if that
 * process were on a host of its own. Where two processes that wake each other share few cores, a kernel may run the one that was
 * woken on the core of the other, which then waits for it.
 */
export function giveOwnCore(pid: number): void {
  const cores = coresOf(readFileSync('/proc/self/status', 'utf8'));
  const last = cores.at(-1);
  if (last === undefined || cores.length < 2) throw new Error('A core for Redis alone needs a host with two cores or more');
  pin(pid, String(last));
  pin(process.pid, cores.slice(0, -1).join(','));
}

/** All threads of the process. */
function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The cores of a process' status, which the kernel writes as `0-2,5`. */
function coresOf(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  return list.split(',').flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
