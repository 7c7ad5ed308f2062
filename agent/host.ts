import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Labels } from '../base/labels.ts';

/** What the host offers to steps, as this process may use it. */
export type HostCapacity = {
  /** Thousandths of a core. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** `os` and `arch`, as Kubernetes spells them. */
  readonly labels: Labels;
};

/** Architectures that Node and Kubernetes spell differently. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/**
 * CPU and memory of the host, or what the control groups of this process leave of them: the tightest limit of its own
 * group and those above it. `procRoot` and `sysRoot` stand for /proc and /sys in tests.
 */
export function detectHost(procRoot = '/proc', sysRoot = '/sys'): HostCapacity {
  const limits = groupDirectories(procRoot, sysRoot).map(limitsOf);
  const cpus = [os.availableParallelism() * 1000, ...limits.map((limit) => limit.cpuMillis)];
  const memories = [os.totalmem(), ...limits.map((limit) => limit.memoryBytes)];
  return {
    cpuMillis: Math.floor(Math.min(...cpus.filter((value) => value !== undefined))),
    memoryBytes: Math.floor(Math.min(...memories.filter((value) => value !== undefined))),
    labels: { os: os.platform(), arch: ARCHITECTURES[os.arch()] ?? os.arch() },
  };
}

type Limits = { readonly cpuMillis: number | undefined; readonly memoryBytes: number | undefined };

/** This process' groups and those above them, in every hierarchy that could limit CPU or memory. */
function groupDirectories(procRoot: string, sysRoot: string): readonly string[] {
  const directories: string[] = [];
  for (const line of (readText(join(procRoot, 'self/cgroup')) ?? '').split('\n')) {
    const match = /^[0-9]+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, controllers = '', own = '/'] = match;
    const mounts = controllers === '' ? ['', 'unified'] : controllers.split(',').filter((name) => name === 'memory' || name === 'cpu');
    for (const mount of mounts) {
      const top = join(sysRoot, 'fs/cgroup', mount);
      const names = own.split('/').filter((name) => name !== '' && name !== '..');
      // In a container the path may be told from outside; then only the mount's top is there.
      for (let depth = 0; depth <= names.length; depth += 1) {
        const directory = join(top, ...names.slice(0, depth));
        if (existsSync(directory)) directories.push(directory);
      }
    }
  }
  return directories;
}

function limitsOf(directory: string): Limits {
  const [quota, period] = (readText(join(directory, 'cpu.max')) ?? '').trim().split(' ');
  const quotaMicros =
    positive(quota ?? readText(join(directory, 'cpu.cfs_quota_us'))) ?? positive(readText(join(directory, 'cpu.cfs_quota_us')));
  const periodMicros = positive(period) ?? positive(readText(join(directory, 'cpu.cfs_period_us')));
  return {
    cpuMillis: quotaMicros === undefined || periodMicros === undefined ? undefined : (quotaMicros / periodMicros) * 1000,
    memoryBytes: positive(readText(join(directory, 'memory.max'))) ?? positive(readText(join(directory, 'memory.limit_in_bytes'))),
  };
}

/** A count above 0; `max`, -1 and absence mean that there is no limit. */
function positive(text: string | undefined): number | undefined {
  const value = Number(text?.trim() === '' ? undefined : text);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
