import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../base/thrown.ts';
import { sendSignal } from '../spawn/processes.ts';

export type CgroupLimits = { readonly memoryBytes: number | undefined; readonly pidsCount: number };

/** The control group of one attempt. */
export interface Cgroup {
  /** Files that the first process of the attempt must write `0` to, in order to be in. */
  readonly procsFiles: readonly string[];
  /** Sends KILL to every process in it; whether there was any. */
  kill(): boolean;
  /** What all its processes took so far. The peak includes cached file pages, as the kernel counts them. */
  usage(): { readonly cpuMs: number | undefined; readonly peakMemoryBytes: number | undefined; readonly oomKillCount: number };
  /** Removes it; the processes must have ended. Whether that worked. */
  remove(): boolean;
}

/** Control groups where this process may make some. */
export interface Cgroups extends Disposable {
  readonly limitsMemory: boolean;
  readonly limitsPids: boolean;
  /** The directories that all attempts' groups are in. */
  readonly directories: readonly string[];
  create(id: string, limits: CgroupLimits): Cgroup;
}

/** One mounted hierarchy in which we have a directory of our own. */
type Hierarchy = { readonly controllers: ReadonlySet<string>; readonly unified: boolean; readonly directory: string };

/** The controllers that an attempt's group is made for. */
const USEFUL = ['memory', 'pids', 'cpuacct'];

/**
 * Looks for the version 2 hierarchy and the version 1 hierarchies of memory, pids and cpuacct, and makes a directory in
 * each where it may. One without controllers is used only where there is no other: it still holds an attempt's processes
 * together. Undefined, with the reason, where none can be written.
 */
export function openCgroups(): { readonly cgroups: Cgroups | undefined; readonly reason: string } {
  const pidNamespace = /\[([0-9]+)\]/.exec(readlinkSync('/proc/self/ns/pid'))?.[1] ?? '0';
  const hierarchies: Hierarchy[] = [];
  let reason = 'no control groups are mounted';
  for (const place of ownPlaces()) {
    try {
      removeLeftOvers(place.directory, pidNamespace);
      if (place.unified) enableControllers(place.directory);
      const directory = join(place.directory, `switchyard-${pidNamespace}-${process.pid}-${uniqueSuffix(place.directory)}`);
      mkdirSync(directory);
      const controllers = place.unified ? new Set(readWords(join(directory, 'cgroup.controllers'))) : place.controllers;
      if (place.unified) enableBelow(directory, controllers);
      hierarchies.push({ ...place, controllers, directory });
    } catch (error) {
      reason = `${place.directory}: ${codeOf(error) ?? String(error)}`;
    }
  }
  if (hierarchies.length === 0) return { cgroups: undefined, reason: `control groups cannot be made (${reason})` };
  // Entering a group makes the kernel wait for all CPUs: each hierarchy costs a step up to a millisecond.
  const useful = hierarchies.filter((hierarchy) => USEFUL.some((controller) => hierarchy.controllers.has(controller)));
  const used = useful.length > 0 ? useful : hierarchies.slice(0, 1);
  for (const { directory } of hierarchies.filter((hierarchy) => !used.includes(hierarchy))) removeGroupTree(directory);
  return { cgroups: cgroupsIn(used), reason };
}

function cgroupsIn(hierarchies: readonly Hierarchy[]): Cgroups {
  const has = (controller: string) => hierarchies.some((hierarchy) => hierarchy.controllers.has(controller));
  return {
    limitsMemory: has('memory'),
    limitsPids: has('pids'),
    directories: hierarchies.map((hierarchy) => hierarchy.directory),
    create: (id, limits) => createGroup(hierarchies, id, limits),
    [Symbol.dispose]() {
      for (const { directory } of hierarchies) removeGroupTree(directory);
    },
  };
}

function createGroup(hierarchies: readonly Hierarchy[], id: string, limits: CgroupLimits): Cgroup {
  const groups = hierarchies.map((hierarchy) => ({ ...hierarchy, directory: join(hierarchy.directory, id) }));
  for (const group of groups) {
    mkdirSync(group.directory);
    if (group.controllers.has('pids')) write(join(group.directory, 'pids.max'), String(limits.pidsCount));
    if (group.controllers.has('memory') && limits.memoryBytes !== undefined) limitMemory(group, limits.memoryBytes);
  }
  const memory = groups.find((group) => group.controllers.has('memory'));
  return {
    procsFiles: groups.map((group) => join(group.directory, 'cgroup.procs')),
    kill: () => groups.map((group) => killGroup(group.directory)).some(Boolean),
    usage: () => ({
      cpuMs: groups.map(cpuMsOf).find((ms) => ms !== undefined),
      peakMemoryBytes:
        memory === undefined ? undefined : readCount(join(memory.directory, memory.unified ? 'memory.peak' : 'memory.max_usage_in_bytes')),
      oomKillCount:
        memory === undefined
          ? 0
          : (readKeyed(join(memory.directory, memory.unified ? 'memory.events' : 'memory.oom_control'), 'oom_kill') ?? 0),
    }),
    remove: () => groups.map((group) => removeGroupTree(group.directory)).every(Boolean),
  };
}

function limitMemory(group: Hierarchy, bytes: number): void {
  if (group.unified) {
    write(join(group.directory, 'memory.max'), String(bytes));
    // Optional files: hosts without swap accounting have none. Killing the group as a whole makes running out one clear event.
    for (const [file, value] of [
      ['memory.swap.max', '0'],
      ['memory.oom.group', '1'],
    ] as const) {
      const path = join(group.directory, file);
      if (existsSync(path)) write(path, value);
    }
    return;
  }
  write(join(group.directory, 'memory.limit_in_bytes'), String(bytes));
  const withSwap = join(group.directory, 'memory.memsw.limit_in_bytes');
  if (existsSync(withSwap)) write(withSwap, String(bytes));
}

function cpuMsOf(group: Hierarchy): number | undefined {
  if (group.unified) {
    const micros = readKeyed(join(group.directory, 'cpu.stat'), 'usage_usec');
    return micros === undefined ? undefined : Math.round(micros / 1000);
  }
  if (!group.controllers.has('cpuacct')) return undefined;
  const nanos = readCount(join(group.directory, 'cpuacct.usage'));
  return nanos === undefined ? undefined : Math.round(nanos / 1e6);
}

/** Our own group in each hierarchy that matters, as seen through the mounts of this process. */
function ownPlaces(): Hierarchy[] {
  const places: Hierarchy[] = [];
  const mounts = readText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' - '))
    .flatMap(([left = '', right = '']) => {
      const [type = '', , superOptions = ''] = right.split(' ');
      const [, , , root = '/', target = ''] = left.split(' ');
      return type === 'cgroup' || type === 'cgroup2' ? [{ type, root, target, options: new Set(superOptions.split(',')) }] : [];
    });
  for (const line of readText('/proc/self/cgroup').split('\n')) {
    const match = /^([0-9]+):([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, id, list = '', path = '/'] = match;
    const unified = id === '0' && list === '';
    const controllers = list.split(',').filter((name) => USEFUL.includes(name));
    if (!unified && controllers.length === 0) continue;
    const mount = mounts.find((one) =>
      unified ? one.type === 'cgroup2' : one.type === 'cgroup' && controllers.some((name) => one.options.has(name)),
    );
    if (mount === undefined) continue;
    // In a container the mount may show only a part of the hierarchy, of which the path is told from the top.
    const below = path.startsWith(`${mount.root}/`) ? path.slice(mount.root.length) : path === mount.root ? '/' : path;
    const inside = join(mount.target, below);
    places.push({ controllers: new Set(controllers), unified, directory: existsSync(inside) ? inside : mount.target });
  }
  return places;
}

const WANTED = ['memory', 'pids', 'cpu'];

/**
 * Version 2 has limits only in groups whose parent passes the controller on, and a group that does so may hold no process
 * itself (the root excepted). Where nobody but this process is in our group, it moves to a leaf of its own.
 */
function enableControllers(directory: string): void {
  const wanted = WANTED.filter((name) => readWords(join(directory, 'cgroup.controllers')).includes(name));
  if (wanted.every((name) => readWords(join(directory, 'cgroup.subtree_control')).includes(name))) return;
  try {
    enableBelow(directory, new Set(wanted));
  } catch {
    const pids = readWords(join(directory, 'cgroup.procs'));
    if (pids.some((pid) => Number(pid) !== process.pid)) return;
    const leaf = join(directory, 'switchyard-agent');
    if (!existsSync(leaf)) mkdirSync(leaf);
    write(join(leaf, 'cgroup.procs'), String(process.pid));
    enableBelow(directory, new Set(wanted));
  }
}

function enableBelow(directory: string, controllers: ReadonlySet<string>): void {
  for (const name of WANTED) if (controllers.has(name)) write(join(directory, 'cgroup.subtree_control'), `+${name}`);
}

/**
 * Groups of agents that are gone. The names carry the pid namespace, since elsewhere pids mean nothing: an agent inside
 * a step of another agent leaves that one's groups alone.
 */
function removeLeftOvers(parent: string, pidNamespace: string): void {
  for (const name of readdirSync(parent)) {
    const match = /^switchyard-([0-9]+)-([0-9]+)-[0-9]+$/.exec(name);
    if (match === null || match[1] !== pidNamespace || existsSync(`/proc/${match[2]}`)) continue;
    removeGroupTree(join(parent, name));
  }
}

function uniqueSuffix(parent: string): number {
  const prefix = new RegExp(`^switchyard-[0-9]+-${process.pid}-([0-9]+)$`);
  return 1 + Math.max(0, ...readdirSync(parent).map((name) => Number(prefix.exec(name)?.[1] ?? 0)));
}

function killGroup(directory: string): boolean {
  const pids = readWords(join(directory, 'cgroup.procs')).map(Number);
  if (pids.length === 0) return false;
  const killFile = join(directory, 'cgroup.kill');
  if (existsSync(killFile)) write(killFile, '1');
  else for (const pid of pids) if (pid > 0) sendSignal(pid, 'SIGKILL');
  return true;
}

/** Removes a group and those in it; whether nothing of it is left. */
function removeGroupTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeGroupTree(join(directory, entry.name));
    }
    killGroup(directory);
    rmdirSync(directory);
    return true;
  } catch {
    return !existsSync(directory);
  }
}

function write(path: string, value: string): void {
  writeFileSync(path, value);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readWords(path: string): string[] {
  return readText(path)
    .split(/\s+/)
    .filter((word) => word !== '');
}

function readCount(path: string): number | undefined {
  const text = readText(path).trim();
  return /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

/** The value behind `key` in a file of `key value` lines. */
function readKeyed(path: string, key: string): number | undefined {
  const line = readText(path)
    .split('\n')
    .find((one) => one.startsWith(`${key} `));
  return line === undefined ? undefined : Number(line.slice(key.length + 1));
}
