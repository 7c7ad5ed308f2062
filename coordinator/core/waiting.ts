import { contains } from './classes.ts';
import { selects } from '../../base/selector.ts';
import { atLeast } from '../../base/zone.ts';
import type { Keeper } from './fleet.ts';
import type { AgentGroup, RequirementClass } from './nodes.ts';
import type { Yard } from './yard.ts';

/**
 * Why queued steps get no agent however long they wait, as things are: no agent has what they ask for (up to `together`: each
 * thing is there, but not on one agent), or those that have it take nothing (from `away` on; `several`: not all for one reason).
 * `quota`: agents would take them, but their project runs all that it may.
 */
export type Unmatched = 'no-agents' | 'zone' | 'selector' | 'resources' | 'sandbox' | 'together' | keyof typeof KEPT | 'several' | 'quota';

const KEPT = { away: 0, outside: 0, draining: 0, breaker: 0, held: 0, cordoned: 0 } as const;

const BY_KEEPER: Readonly<Record<Keeper, keyof typeof KEPT>> = {
  disconnected: 'away',
  outside: 'outside',
  draining: 'draining',
  'breaker-open': 'breaker',
  'breaker-probing': 'breaker',
  'pool-open': 'breaker',
  'pool-probing': 'breaker',
  'pool-degraded': 'breaker',
  hold: 'held',
  cordon: 'cordoned',
};

/** How queued steps wait. */
export type Waiting = {
  /** When the one that waits longest could run; undefined where none waits. */
  readonly oldestReadyAt: number | undefined;
  /** Steps that no agent takes as things are, by why. */
  readonly unmatched: Readonly<Record<Unmatched, number>>;
};

/** Costs the queued steps, and for classes that nobody takes the groups of agents. */
export function waitingOf(yard: Yard): Waiting {
  const { fleet } = yard;
  let oldest = Number.POSITIVE_INFINITY;
  const unmatched = newCounts();
  for (let at = 0; at < fleet.active.size; at += 1) {
    const wanted = fleet.active.at(at);
    if (wanted === undefined) continue;
    oldest = Math.min(oldest, wanted.queue.oldestReadyAt());
    for (const step of wanted.parked) oldest = Math.min(oldest, step.record.readyAt ?? oldest);
    const why = unmatchedBy(yard, wanted);
    if (why === undefined) unmatched.quota += wanted.queue.keptCount();
    else unmatched[why] += wanted.queue.size + wanted.parked.size;
  }
  return { oldestReadyAt: oldest === Number.POSITIVE_INFINITY ? undefined : oldest, unmatched };
}

function newCounts(): Record<Unmatched, number> {
  return { 'no-agents': 0, selector: 0, resources: 0, zone: 0, sandbox: 0, together: 0, ...KEPT, several: 0, quota: 0 };
}

function unmatchedBy({ fleet }: Yard, wanted: RequirementClass): Unmatched | undefined {
  if (wanted.groups.size === 0) return lackedBy([...fleet.groups.values()], wanted);
  let why: keyof typeof KEPT | 'several' | undefined;
  for (const group of wanted.groups) {
    for (const agent of group.members) {
      const keeper = fleet.keeperOf(agent);
      if (keeper === undefined) return undefined;
      const kept = BY_KEEPER[keeper];
      why = why === undefined || why === kept ? kept : 'several';
    }
  }
  return why ?? 'no-agents';
}

/** The one thing that no agent at all has. */
function lackedBy(groups: readonly AgentGroup[], wanted: RequirementClass): Unmatched {
  if (groups.length === 0) return 'no-agents';
  if (!groups.some((group) => atLeast(group.zone, wanted.zone))) return 'zone';
  if (!groups.some((group) => selects(wanted.selector, group.labels))) return 'selector';
  if (!groups.some((group) => contains(group.capacity, wanted.resources))) return 'resources';
  if (!groups.some((group) => wanted.traits.every((trait) => group.traits.has(trait)))) return 'sandbox';
  return 'together';
}
