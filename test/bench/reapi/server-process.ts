import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTENING = '0A';
/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock (USER_HZ). */
const TICK_SECONDS = 0.01;

/** The process that listens on a TCP port of this host, or undefined where it is another host's or cannot be seen. */
export function listeningPid(port: number): number | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listenersOf(path, port)));
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (descriptorsOf(pid).some((target) => inodes.has(target))) return Number(pid);
  }
  return undefined;
}

function listenersOf(path: string, port: number): readonly string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync(path, 'utf8').split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    return state === LISTENING && local.endsWith(wanted) ? [`socket:[${inode}]`] : [];
  });
}

function descriptorsOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed in the meantime
      }
    });
  } catch {
    return []; // ended, or another user's
  }
}

/** Processor time of a process, its children and all their threads since they started, in seconds; NaN where it has ended. */
export function cpuSecondsOf(pid: number): number {
  const children = childrenOf(pid).map(ownCpuSecondsOf);
  return children.filter(Number.isFinite).reduce((sum, seconds) => sum + seconds, ownCpuSecondsOf(pid));
}

function childrenOf(pid: number): readonly number[] {
  try {
    return (readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []).map(Number);
  } catch {
    return []; // it has ended
  }
}

function ownCpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; after it, user and system time are fields 12 and 13.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
  } catch {
    return Number.NaN;
  }
}
