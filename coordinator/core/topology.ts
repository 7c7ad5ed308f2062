import { membershipOf } from '../../topology/membership.ts';
import type { Topology } from '../../topology/model.ts';
import { groupKeyOf, groupOf, matches } from './classes.ts';
import type { Event } from './event.ts';
import type { AgentId } from './ids.ts';
import type { AgentGroup, AgentNode, RequirementClass } from './nodes.ts';
import type { Turn } from './turn.ts';
import type { Yard } from './yard.ts';

/** What a topology would change, beside what it says itself. */
export type TopologyEffects = {
  /** Agents that would get nothing any more, or something again, or would be elsewhere; with the words for it. */
  readonly agents: readonly { readonly agent: AgentId; readonly change: string }[];
  /** Kinds of queued steps that fit on a known agent now, and would on none. */
  readonly stranded: readonly { readonly steps: number; readonly example: string; readonly selector: string; readonly zone: string }[];
};

/** Puts the topology in force, where the one that it was written against still holds. */
export function applyTopology(turn: Turn, event: Extract<Event, { kind: 'topology-applied' }>): void {
  const { yard } = turn;
  const current = [...yard.topologies.values()].at(-1);
  // Also the repeat of a call whose answer was lost.
  if (current?.digest === event.digest) return void (turn.reply = { kind: 'topology', revision: current.revision, isNew: false });
  if ((current?.digest ?? '') !== event.base) {
    const now =
      current === undefined
        ? 'none was applied'
        : `revision ${current.revision} (${current.digest.slice(0, 12)}) by ${current.by} holds now`;
    const message = `The topology has changed since: ${now}, and this one was made for ${event.base === '' ? 'none' : event.base.slice(0, 12)}; plan it again`;
    return void (turn.reply = { kind: 'refused', code: 'WRONG_STATE', message, field: 'base_digest' });
  }
  const { digest, text, topology, by, reason } = event;
  const revision = (current?.revision ?? 0) + 1;
  turn.put({ kind: 'topology', revision: { revision, digest, text, topology, by, at: turn.now, reason } });
  for (const old of yard.topologies.keys()) {
    if (yard.topologies.size <= yard.limits.topologiesKept) break;
    turn.put({ kind: 'topology-forgotten', revision: old });
  }
  yard.obey();
  turn.reply = { kind: 'topology', revision, isNew: true };
}

export function effectsOf(yard: Yard, topology: Topology): TopologyEffects {
  const agents: { agent: AgentId; change: string }[] = [];
  const groups = new Map<string, AgentGroup>();
  for (const agent of [...yard.fleet.agents.values()].toSorted((left, right) => (left.id < right.id ? -1 : 1))) {
    const facts = agent.session?.facts;
    if (facts === undefined) continue;
    const place = membershipOf(topology, facts);
    const change = changeOf(agent, place);
    if (change !== undefined) agents.push({ agent: agent.id, change });
    if (place.kind === 'outsider') continue;
    const key = groupKeyOf(place.labels, facts.capacity, facts.sandbox, topology);
    if (!groups.has(key)) groups.set(key, groupOf(key, place.labels, facts, topology));
  }
  return { agents, stranded: strandedOf(yard, [...groups.values()]) };
}

const PLACE_LABELS = ['cluster', 'pool', 'zone', 'region', 'class'] as const;

function changeOf(agent: AgentNode, place: ReturnType<typeof membershipOf>): string | undefined {
  if (place.kind === 'outsider') return agent.outside === undefined ? `gets no work any more: ${place.why}` : undefined;
  if (agent.outside !== undefined) return 'gets work again';
  const moved = PLACE_LABELS.filter((key) => agent.labels[key] !== place.labels[key]);
  if (moved.length === 0) return undefined;
  return moved.map((key) => `${key} ${agent.labels[key] ?? 'none'} becomes ${place.labels[key] ?? 'none'}`).join(', ');
}

function strandedOf(yard: Yard, groups: readonly AgentGroup[]): TopologyEffects['stranded'] {
  const stranded: TopologyEffects['stranded'][number][] = [];
  for (let at = 0; at < yard.fleet.active.size; at += 1) {
    const wanted = yard.fleet.active.at(at);
    if (wanted === undefined || !fitsNow(wanted) || groups.some((group) => matches(group, wanted))) continue;
    const [parked] = wanted.parked;
    stranded.push({
      steps: wanted.queue.size + wanted.parked.size,
      example: (wanted.queue.peek() ?? parked)?.id ?? '',
      selector: wanted.selector.canonical,
      zone: wanted.zone,
    });
  }
  return stranded;
}

function fitsNow({ groups }: RequirementClass): boolean {
  for (const group of groups) for (const agent of group.members) if (agent.outside === undefined) return true;
  return false;
}
