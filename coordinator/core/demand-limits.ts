import type { Resources } from '../../base/resources.ts';
import type { PoolLimits } from '../../topology/model.ts';

/** Steps that are alike: how many, what each asks for, and how many slots of the pool's agents each takes. */
export type Alike = { readonly count: number; readonly slots: number; readonly resources: Resources };

/** What a pool's limits count. */
export type Used = { readonly steps: number; readonly cpuMillis: number; readonly memoryBytes: number };

/** All slots that the steps take. */
export function slotsOfAll(steps: readonly Alike[]): number {
  return steps.reduce((sum, { count, slots }) => sum + count * slots, 0);
}

/**
 * The most slots that the steps could take at once within the limits, beside what is used already. No more than that: where several
 * limits bind together, less of them may fit.
 */
export function slotsWithin(steps: readonly Alike[], limits: PoolLimits, used: Used): number {
  const { steps: most = Infinity, cpuMillis = Infinity, memoryBytes = Infinity } = limits;
  return Math.min(
    slotsFor(steps, () => 1, most - used.steps),
    slotsFor(steps, (one) => one.cpuMillis, cpuMillis - used.cpuMillis),
    slotsFor(steps, (one) => one.memoryBytes, memoryBytes - used.memoryBytes),
  );
}

/** Those first that take the most slots for what they cost. A step that costs more than is left by itself does not count. */
function slotsFor(steps: readonly Alike[], costOf: (resources: Resources) => number, left: number): number {
  const priced = steps.map(({ count, slots, resources }) => ({ count, slots, cost: costOf(resources) })).filter(({ cost }) => cost <= left);
  let rest = left;
  let sum = 0;
  for (const { count, slots, cost } of priced.toSorted((a, b) => b.slots * a.cost - a.slots * b.cost)) {
    const taken = cost === 0 ? count : Math.min(count, rest / cost);
    sum += taken * slots;
    rest -= taken * cost;
  }
  return sum;
}
