import { formatSizeBytes } from '../../base/quantity.ts';
import type { Resources } from '../../base/resources.ts';
import type { PoolLimits } from '../../topology/model.ts';
import type { AgentNode, PoolNode, RequirementClass } from './nodes.ts';

/**
 * What a pool's agents may run together, however much room they have: the topology says so, for what lies behind them (licences, a
 * database, money). Leases count from their offer; those that were there when the limit came stay.
 */

type Use = { readonly steps: number; readonly cpuMillis: number; readonly memoryBytes: number };

/** The agent's leases count towards the pool from now on, or no longer. */
export function chargePool({ used }: PoolNode, { steps, cpuMillis, memoryBytes }: Use, sign: 1 | -1): void {
  used.steps += sign * steps;
  used.cpuMillis += sign * cpuMillis;
  used.memoryBytes += sign * memoryBytes;
}

export function useOf(agent: AgentNode): Use {
  return { steps: agent.leases.size, cpuMillis: agent.usedCpuMillis, memoryBytes: agent.usedMemoryBytes };
}

/** Whether the pool's limits leave no room for a step of the class, or it is degraded; the pool remembers that it was asked. */
export function turnsAway(pool: PoolNode | undefined, wanted: RequirementClass): boolean {
  if (pool === undefined || (pool.limits === undefined && pool.degraded === undefined)) return false;
  if (isWithin(pool, wanted) && (pool.degraded === undefined || wanted.isCanary)) return false;
  pool.turnedAway = true;
  return true;
}

function isWithin({ limits = {}, used }: PoolNode, { resources }: RequirementClass): boolean {
  return fitsWithin(limits, used, resources);
}

/** Whether one more that asks for `resources` is within the limits. */
export function fitsWithin(limits: PoolLimits, used: Use, resources: Resources): boolean {
  const { steps = Infinity, cpuMillis = Infinity, memoryBytes = Infinity } = limits;
  return used.steps < steps && used.cpuMillis + resources.cpuMillis <= cpuMillis && used.memoryBytes + resources.memoryBytes <= memoryBytes;
}

/** What of its limits keeps steps of the class from the pool, for people; undefined where nothing does. */
export function limitText(pool: PoolNode, wanted: RequirementClass): string | undefined {
  const over = pool.limits === undefined ? undefined : overText(pool.limits, pool.used, wanted.resources);
  return over === undefined ? undefined : `pool ${pool.name} is at its limit: it runs ${over}`;
}

/** What of the limits one more that asks for `resources` would break, for people; undefined where it is within all of them. */
export function overText(limits: PoolLimits, used: Use, { cpuMillis, memoryBytes }: Resources): string | undefined {
  const parts: string[] = [];
  if (limits.steps !== undefined && used.steps >= limits.steps) parts.push(`${used.steps} of at most ${limits.steps} steps`);
  if (limits.cpuMillis !== undefined && used.cpuMillis + cpuMillis > limits.cpuMillis)
    parts.push(`${used.cpuMillis}m of at most ${limits.cpuMillis}m CPU, and the step asks for ${cpuMillis}m`);
  if (limits.memoryBytes !== undefined && used.memoryBytes + memoryBytes > limits.memoryBytes) {
    const most = formatSizeBytes(limits.memoryBytes);
    parts.push(`${formatSizeBytes(used.memoryBytes)} of at most ${most} of memory, and the step asks for ${formatSizeBytes(memoryBytes)}`);
  }
  return parts.length === 0 ? undefined : parts.join(' and ');
}
