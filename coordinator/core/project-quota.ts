import { formatSizeBytes } from '../../base/quantity.ts';
import type { Resources } from '../../base/resources.ts';
import { projectRules, type PoolLimits, type Topology } from '../../topology/model.ts';
import type { Refusal } from './admission.ts';
import type { ProjectNode } from './nodes.ts';
import { fitsWithin, overText } from './pool-limits.ts';
import type { ProjectQueue } from './queue.ts';
import type { BuildSpec, StepSpec } from './spec.ts';

/**
 * What a project's steps may run together, over all pools: the topology says so. They count from their offer on; those that were
 * there when the quota came stay. Where the next step of a class would be too much, its project's queue of that class is set
 * aside (`ClassQueue`), and those of others go on as if it were empty.
 */

/** Whether the quota leaves no room for steps of the queue, which all ask for the same. */
export function isAtQuota({ project, owner }: ProjectQueue): boolean {
  return project.quota !== undefined && !fitsWithin(project.quota, project.used, owner.resources);
}

/** The step's part of its project's quota, from now on or no longer. */
export function chargeProject({ used }: ProjectNode, { resources }: StepSpec, sign: 1 | -1): void {
  used.steps += sign;
  used.cpuMillis += sign * resources.cpuMillis;
  used.memoryBytes += sign * resources.memoryBytes;
}

/** What of its project's quota keeps a step, for people; undefined where nothing does. */
export function quotaText({ name, quota, used }: ProjectNode, { resources }: StepSpec): string | undefined {
  if (quota === undefined || fitsWithin(quota, used, resources)) return undefined;
  const { steps } = quota;
  const parts = steps !== undefined && used.steps >= steps ? [`${steps} ${steps === 1 ? 'step' : 'steps'}`] : [];
  const more = overText({ ...quota, steps: Infinity }, used, resources);
  if (more !== undefined) parts.push(`what its steps may ask for: they have ${more}`);
  return `project ${name} is at its quota of ${parts.join(' and of ')}`;
}

/** Why a step of the build could never run, whatever else its project does; undefined where each could. */
export function checkQuota(topology: Topology, { project, steps }: BuildSpec): Refusal | undefined {
  const { quota } = projectRules(topology, project);
  if (quota === undefined) return undefined;
  for (const [index, step] of steps.entries()) {
    const over = tooMuch(quota, step);
    if (over === undefined) continue;
    const { asks, most, field, rule } = over;
    const fix = `ask for less, or let the topology allow more under projects.${project}.quota.${rule}`;
    return {
      code: 'BAD_REQUEST',
      message: `Step "${step.name}" asks for ${asks}, but the steps of the project ${project} may have ${most} together: ${fix}`,
      field: `steps[${index}].resources.${field}`,
    };
  }
  return undefined;
}

function tooMuch({ cpuMillis = Infinity, memoryBytes = Infinity }: PoolLimits, { resources }: StepSpec) {
  if (resources.cpuMillis > cpuMillis)
    return { asks: `${resources.cpuMillis}m CPU`, most: `${cpuMillis}m`, field: 'cpuMillis', rule: 'cpu' };
  if (resources.memoryBytes > memoryBytes) {
    const asks = `${formatSizeBytes(resources.memoryBytes)} of memory`;
    return { asks, most: formatSizeBytes(memoryBytes), field: 'memoryBytes', rule: 'memory' };
  }
  return undefined;
}

/** What quotas let of queued steps come to run, for those who sum up over several classes. */
export class QuotaRoom {
  readonly #used = new Map<ProjectNode, { steps: number; cpuMillis: number; memoryBytes: number }>();

  /** How many of `most` steps that ask for this may run beside those that were counted before; costs as many as it counts. */
  take(project: ProjectNode, resources: Resources, most: number): number {
    if (project.quota === undefined) return most;
    const used = this.#used.get(project) ?? { ...project.used };
    this.#used.set(project, used);
    let count = 0;
    while (count < most && fitsWithin(project.quota, used, resources)) {
      used.steps += 1;
      used.cpuMillis += resources.cpuMillis;
      used.memoryBytes += resources.memoryBytes;
      count += 1;
    }
    return count;
  }
}
