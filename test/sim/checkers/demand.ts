import type { StepId } from '../../../coordinator/core/ids.ts';
import { buildOf, stepIdOf } from '../../../coordinator/core/ids.ts';
import type { SimCore } from '../coordinator.ts';
import { leaseOf, type Image } from '../image.ts';
import type { AgentPlan, Plan } from '../plan.ts';
import { fits, type StepPlan } from '../workload.ts';
import { Violation } from '../world.ts';

type Picture = {
  readonly decided: Image;
  readonly plan: Plan;
  readonly stepPlan: (step: StepId) => StepPlan;
  readonly projectOf: (step: StepId) => string;
};

/**
 * What a pool is wanted for is what counting all steps one by one comes to, by the simulation's own reading of what they ask for: for
 * a pool of agents such as each of the yard's.
 */
export function checkDemand(core: SimCore, picture: Picture): void {
  for (const agent of picture.plan.agents) {
    const { labels, capacity, sandbox } = agent;
    const said = core.demandOf({ labels, capacity, sandbox });
    if (said.kind === 'outsider') throw new Violation('demand', `${agent.id} is no outsider: ${said.why}`);
    const counted = count(core, picture, agent);
    const is = (value: number, [least, most]: readonly [number, number]) => value >= least - 1e-9 && value <= most + 1e-9;
    for (const part of ['runnable', 'running', 'ahead'] as const) {
      if (is(said[part], counted[part])) continue;
      const range = counted[part].join(' to ');
      throw new Violation(
        'demand',
        `pool ${labels['cluster']}/${labels['pool']} like ${agent.id}: ${part} is ${said[part]}, counted ${range}`,
      );
    }
  }
}

type Count = Readonly<Record<'runnable' | 'running' | 'ahead', [number, number]>>;

/** Slots of a project's queued steps: of all, and of those of which no backoff may be under way. */
type Waiting = { readonly all: number[]; readonly sure: number[] };

function count(core: SimCore, { decided, plan: { quotas }, stepPlan, projectOf }: Picture, agent: AgentPlan): Count {
  const { cluster, pool } = agent.labels;
  const views = new Map(core.agents().map((view) => [view.id, view]));
  const held = decided.holds.has(`pool:${cluster}/${pool}`) || decided.holds.has(`cluster:${cluster}`);
  const waiting = new Map<string, Waiting>();
  const leases = new Map<string, number>();
  const sum: Count = { runnable: [0, 0], running: [0, 0], ahead: [0, 0] };
  for (const [id, record] of decided.steps) {
    const plan = stepPlan(id);
    const lease = leaseOf(record);
    const project = projectOf(id);
    if (lease !== undefined) leases.set(project, (leases.get(project) ?? 0) + 1);
    const on = lease === undefined ? undefined : views.get(lease.agent);
    if (on !== undefined && on.labels['cluster'] === cluster && on.labels['pool'] === pool && !on.draining) add(sum.running, plan, agent);
    if (held || !fits(plan, agent)) continue;
    // Whether a backoff is over is the coordinator's clock's to say.
    if (record.state.kind === 'queued') {
      const { all, sure } = waiting.get(project) ?? { all: [], sure: [] };
      waiting.set(project, { all, sure });
      all.push(slotsOf(plan, agent));
      if (record.state.notBefore === undefined) sure.push(slotsOf(plan, agent));
    }
    if (record.state.kind !== 'blocked' || plan.spec.runIf === 'failed') continue;
    const needs = plan.spec.needs.map((need) => decided.steps.get(stepIdOf(buildOf(id), need.step)));
    const open = needs.filter((need) => need?.state.kind !== 'ended');
    if (open.length > 0 && open.every((need) => leaseOf(need) !== undefined)) add(sum.ahead, plan, agent);
  }
  for (const [project, { all, sure }] of waiting) {
    const room = Math.max(0, (quotas[project] ?? quotas['*'] ?? Infinity) - (leases.get(project) ?? 0));
    // Which of them its quota lets run is open.
    const sorted = all.toSorted((left, right) => left - right);
    sum.runnable[0] += total(room >= all.length ? sure : sorted.slice(0, Math.min(room, sure.length)));
    sum.runnable[1] += total(room === 0 ? [] : sorted.slice(-Math.min(room, all.length)));
  }
  return sum;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function add(range: [number, number], plan: StepPlan, agent: AgentPlan): void {
  range[0] += slotsOf(plan, agent);
  range[1] += slotsOf(plan, agent);
}

function slotsOf({ spec: { resources } }: StepPlan, { capacity }: AgentPlan): number {
  const parts = [
    [resources.slots, capacity.slots],
    ...[
      [resources.cpuMillis, capacity.cpuMillis],
      [resources.memoryBytes, capacity.memoryBytes],
      ...Object.entries(resources.custom).map(([name, wanted]) => [wanted, capacity.custom[name] ?? 0]),
    ].map(([wanted = 0, has = 0]) => (wanted > has ? [1, 1] : [wanted, has])),
  ].map(([wanted = 0, has = 0]) => (wanted === 0 ? 0 : wanted / has));
  return Math.max(...parts) * capacity.slots;
}
