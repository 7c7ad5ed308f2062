import type { Labels } from '../../base/labels.ts';
import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { membershipOf } from '../../topology/membership.ts';
import { poolRules } from '../../topology/model.ts';
import { classKeyOf, classOf, groupKeyOf, groupOf, matches, specTextOf } from './classes.ts';
import { slotsOfAll, slotsWithin, type Alike, type Used } from './demand-limits.ts';
import type { AgentGroup, AgentNode, RequirementClass, StepNode } from './nodes.ts';
import { useOf } from './pool-limits.ts';
import { QuotaRoom } from './project-quota.ts';
import type { Yard } from './yard.ts';

/** What an agent of a pool is like, or would be: the pool need not have one. */
export type PoolShape = {
  /** `cluster`, `pool` and `zone` as its credential has them, and what it says of itself. */
  readonly labels: Labels;
  /** Infinity: as much as anybody asks for. `slots` is at least 1. */
  readonly capacity: Resources;
  readonly sandbox: readonly SandboxTrait[];
};

/** What a pool is wanted for, in slots of an agent of its shape. */
export type PoolDemand =
  /** The topology gives such agents nothing; `why` for people. */
  | { readonly kind: 'outsider'; readonly why: string }
  | {
      readonly kind: 'wanted';
      /**
       * Queued steps that would fit, those of other pools that would take them, too, included; those in a backoff not, and of a project
       * no more than its quota lets run beside what it runs.
       */
      readonly runnable: number;
      /** Leases of its agents, but for those that drain: their places are given up already. */
      readonly running: number;
      /** Steps that would fit, and wait only for steps that have a lease now. */
      readonly ahead: number;
      /** The pause or drain of the pool or its cluster, for which nothing new is wanted. */
      readonly held: string | undefined;
      /** How many steps the pool's limits would let run beside all of these; Infinity where they say nothing of steps. */
      readonly spare: number;
    };

/**
 * Reads only. No more is wanted than quotas and the pool's limits let run. Costs the classes with queued steps, what quotas let come to
 * run, the leases, and the needs of steps on them.
 */
export function demandOf(yard: Yard, shape: PoolShape): PoolDemand {
  const { fleet } = yard;
  const place = membershipOf(fleet.topology, shape);
  if (place.kind === 'outsider') return { kind: 'outsider', why: place.why };
  const { labels } = place;
  const { cluster = '', pool = '' } = labels;
  const { capacity } = shape;
  const group = groupOf(groupKeyOf(labels, capacity, shape.sandbox, fleet.topology), labels, shape, fleet.topology);
  const name = `${cluster}/${pool}`;
  const node = fleet.pools.get(name);
  const members = [...(node?.members ?? [])];
  const serving = members.filter(({ draining }) => draining === undefined);
  const leased = serving.flatMap(({ leases }) => [...leases.values()].map(({ spec: { resources } }) => alike(1, resources, capacity)));
  const running = slotsOfAll(leased);
  const held = (fleet.holds.get(`pool:${cluster}/${pool}`) ?? fleet.holds.get(`cluster:${cluster}`))?.hold.target;
  if (held !== undefined) return { kind: 'wanted', runnable: 0, running, ahead: 0, held, spare: 0 };
  const runnable = runnableFor(yard, group);
  const ahead = aheadFor(yard, group);
  const limits = poolRules(fleet.topology, name)?.limits;
  if (limits === undefined) {
    return { kind: 'wanted', runnable: slotsOfAll(runnable), running, ahead: slotsOfAll(ahead), held, spare: Infinity };
  }
  const used = node?.used ?? NOTHING;
  const now = slotsWithin(runnable, limits, used);
  // What comes next comes when something has ended: beside what drains, all may be used by then.
  const all = slotsWithin([...leased, ...runnable, ...ahead], limits, usedBy(members.filter(({ draining }) => draining !== undefined)));
  const waiting = runnable.reduce((sum, { count }) => sum + count, 0);
  const spare = Math.max(0, (limits.steps ?? Infinity) - used.steps - waiting);
  return { kind: 'wanted', runnable: now, running, ahead: Math.min(slotsOfAll(ahead), Math.max(0, all - running - now)), held, spare };
}

const NOTHING: Used = { steps: 0, cpuMillis: 0, memoryBytes: 0 };

function usedBy(agents: readonly AgentNode[]): Used {
  return agents.map(useOf).reduce<Used>(
    (sum, { steps, cpuMillis, memoryBytes }) => ({
      steps: sum.steps + steps,
      cpuMillis: sum.cpuMillis + cpuMillis,
      memoryBytes: sum.memoryBytes + memoryBytes,
    }),
    NOTHING,
  );
}

function alike(count: number, resources: Resources, capacity: Resources): Alike {
  return { count, resources, slots: slotsOf(resources, capacity) };
}

function runnableFor({ fleet }: Yard, group: AgentGroup): readonly Alike[] {
  const room = new QuotaRoom();
  const found: Alike[] = [];
  for (let at = 0; at < fleet.active.size; at += 1) {
    const wanted = fleet.active.at(at);
    if (wanted === undefined || !matches(group, wanted)) continue;
    let count = 0;
    for (const { build } of wanted.parked) count += room.take(build.project, wanted.resources, 1);
    for (const queue of wanted.queue.projects()) count += room.take(queue.project, wanted.resources, queue.size);
    if (count > 0) found.push(alike(count, wanted.resources, group.capacity));
  }
  return found;
}

function aheadFor({ fleet }: Yard, group: AgentGroup): readonly Alike[] {
  /** By step, how many of its needs have a lease. */
  const leased = new Map<StepNode, number>();
  for (const agent of fleet.agents.values()) {
    for (const step of agent.leases.values()) {
      for (const dependent of step.dependents) {
        // What is there for the case of failure is not expected.
        if (dependent.record.state.kind !== 'blocked' || dependent.spec.runIf === 'failed') continue;
        leased.set(dependent, (leased.get(dependent) ?? 0) + 1);
      }
    }
  }
  // Classes of our own, so that asking changes nothing of what is known.
  const classes = new Map<string, RequirementClass>();
  const found: Alike[] = [];
  for (const [step, count] of leased) {
    if (count < step.waiting) continue;
    const text = specTextOf(step.spec);
    let wanted = classes.get(text);
    if (wanted === undefined) classes.set(text, (wanted = classOf(step.spec, classKeyOf(step.spec), 0)));
    if (matches(group, wanted)) found.push(alike(1, step.spec.resources, group.capacity));
  }
  return found;
}

/** The slots of such an agent that nobody else can use beside the step: its largest part of any resource. */
export function slotsOf(wanted: Resources, capacity: Resources): number {
  const ofSlots = wanted.slots / capacity.slots;
  let part = Math.max(ofSlots, partOf(wanted.cpuMillis, capacity.cpuMillis), partOf(wanted.memoryBytes, capacity.memoryBytes));
  for (const name in wanted.custom) part = Math.max(part, partOf(wanted.custom[name] ?? 0, capacity.custom[name] ?? 0));
  return part * capacity.slots;
}

/** At most 1: a lease may be on an agent that has more than the shape says. */
function partOf(wanted: number, capacity: number): number {
  return wanted === 0 ? 0 : Math.min(1, wanted / capacity);
}
