import { canTake } from './fleet.ts';
import type { AgentGroup, AgentNode, Awaited, Home, RequirementClass, StepNode, Tier } from './nodes.ts';
import { homeOf, homeWaitUntil, tiersOf } from './preference.ts';
import { turnsAway } from './pool-limits.ts';
import type { ResolvedAction } from './state.ts';
import type { Turn } from './turn.ts';

/**
 * Which of the agents with room gets a step. Candidates are those that hold its inputs and a sample of the others; the
 * score of each is a sum of terms, every one of which `explain` can name.
 */
export const TERMS = ['labels', 'inputs', 'cluster', 'fit', 'light', 'errors', 'avoided'] as const;

/** The largest part of an agent that still counts as light. */
const LIGHT = 0.25;
/** Input bytes from which on having all of them weighs fully. */
const FULL_WEIGHT_BYTES = 256 * 1024 * 1024;
/** Trees of a step, largest first, whose holders are looked for. */
const PARTS_LOOKED_AT = 4;

export type Choice =
  | {
      readonly kind: 'agent';
      readonly agent: AgentNode;
      readonly terms: readonly number[];
      readonly candidateCount: number;
      readonly tier: Tier | undefined;
      readonly home: Home | undefined;
    }
  /** No available agent fits the class. */
  | { readonly kind: 'none' }
  /** Some fit the class, but this step waits for `awaited` (undefined = any that it does not avoid). */
  | { readonly kind: 'wait'; readonly until: number; readonly awaited: Awaited | undefined };

type Patience = { readonly until: number; readonly awaited: ReadonlySet<AgentNode> | undefined };

const NONE: Choice = { kind: 'none' };
const NO_PATIENCE: Patience = { until: 0, awaited: undefined };
const NOBODY: ReadonlySet<AgentNode> = new Set();
const NO_PARTS: ResolvedAction['parts'] = [];

export function choose(turn: Turn, step: StepNode, wanted: RequirementClass): Choice {
  const home = turn.yard.fleet.prefers ? homeOf(turn.yard.fleet, step) : undefined;
  const { sample, tier } = turn.yard.fleet.prefers ? nearestCandidates(turn, step, wanted, home) : plainCandidates(turn, step, wanted);
  if (sample.length === 0) return NONE;
  if (home !== undefined && tier !== undefined && tier.standing.distance > 0 && !step.patienceOver) {
    const bound = homeWaitUntil(turn.yard.fleet, step, home);
    if (bound > turn.now && isOpenThere(turn, step, wanted, home))
      return { kind: 'wait', until: bound, awaited: { kind: 'cluster', home } };
  }
  const { until, awaited } = patience(turn, step, wanted);
  const liked = avoidsAny(step) ? sample.filter((agent) => !isAvoided(turn, step, agent)) : sample;
  if (liked.length === 0 && !step.patienceOver) {
    const bound = retryAt(turn, step, sample);
    if (bound !== undefined && bound > turn.now) return { kind: 'wait', until: bound, awaited: undefined };
  }
  const usable = liked.length === 0 ? sample : liked;
  if (awaited !== undefined && until > turn.now && !usable.some((agent) => awaited.has(agent)))
    return { kind: 'wait', until, awaited: { kind: 'holders', agents: awaited } };
  const found = best(turn, step, wanted, usable);
  return found.kind === 'agent' ? { ...found, tier, home } : found;
}

type Sampled = { readonly sample: readonly AgentNode[]; readonly tier: Tier | undefined };

function plainCandidates(turn: Turn, step: StepNode, wanted: RequirementClass): Sampled {
  return { sample: candidates(turn, step, wanted, wanted.groups, undefined), tier: undefined };
}

/** Candidates of the first tier with room; of a later one where the step would rather not go to any of those. */
function nearestCandidates(turn: Turn, step: StepNode, wanted: RequirementClass, home: Home | undefined): Sampled {
  let first: Sampled = { sample: [], tier: undefined };
  for (const tier of tiersOf(turn.yard.fleet, wanted, home)) {
    const sample = candidates(turn, step, wanted, groupsOf(wanted, tier), tier);
    if (sample.length === 0) continue;
    if (!avoidsAny(step) || sample.some((agent) => !isAvoided(turn, step, agent))) return { sample, tier };
    if (first.tier === undefined) first = { sample, tier };
  }
  return first;
}

function* groupsOf(wanted: RequirementClass, { places }: Tier): Iterable<AgentGroup> {
  for (const place of places) yield* wanted.places.get(place) ?? [];
}

/** Whether an agent of the home that fits takes work, so that waiting for it may be of use. */
function isOpenThere(turn: Turn, step: StepNode, wanted: RequirementClass, home: Home): boolean {
  const { fleet } = turn.yard;
  for (const group of wanted.groups) {
    if (group.cluster !== home.cluster) continue;
    for (const agent of group.members) if (!isAvoided(turn, step, agent) && fleet.keeperOf(agent) === undefined) return true;
  }
  return false;
}

/** The candidate with the highest score; the first one of several. */
function best(turn: Turn, step: StepNode, wanted: RequirementClass, usable: readonly AgentNode[]): Choice {
  let agent: AgentNode | undefined;
  let top = 0;
  let shared: GroupTerms | undefined;
  let terms: GroupTerms | undefined;
  for (const other of usable) {
    if (other.group === undefined) continue;
    if (shared?.group !== other.group) shared = groupTerms(turn, step, wanted, other.group);
    const score = scoreOf(turn, step, wanted, other, shared);
    if (agent !== undefined && score <= top) continue;
    agent = other;
    terms = shared;
    top = score;
  }
  if (agent === undefined || terms === undefined) return NONE;
  return {
    kind: 'agent',
    agent,
    terms: termsOf(turn, step, wanted, agent, terms),
    candidateCount: usable.length,
    tier: undefined,
    home: undefined,
  };
}

/** Whether the step would rather go elsewhere. */
export function isAvoided(turn: Turn, step: StepNode, agent: AgentNode): boolean {
  return step.record.avoid.includes(agent.id) || (step.rejectedBy?.get(agent.id) ?? 0) > turn.now;
}

/** Whether there are agents that the step would rather not go to. */
function avoidsAny(step: StepNode): boolean {
  return step.record.avoid.length > 0 || step.rejectedBy !== undefined;
}

/** Agents of the groups with room for the class, at most as many as are scored: holders of inputs first, then a rotating sample. */
function candidates(
  turn: Turn,
  step: StepNode,
  wanted: RequirementClass,
  groups: Iterable<AgentGroup>,
  tier: Tier | undefined,
): AgentNode[] {
  const { limits } = turn.yard;
  const found: AgentNode[] = [];
  for (const agent of holders(turn, step)) {
    if (tier !== undefined && !tier.places.has(agent.group?.place ?? '')) continue;
    if (!canTake(agent, wanted)) continue;
    found.push(agent);
    if (found.length * 2 >= limits.candidatesScored) break;
  }
  const holderCount = found.length;
  const avoids = avoidsAny(step);
  let likedCount = avoids ? found.filter((agent) => !isAvoided(turn, step, agent)).length : found.length;
  for (const group of groups) {
    const { available } = group;
    if (available.length > 0 && turnsAway(group.pool, wanted)) continue;
    for (let offset = 0; offset < available.length; offset += 1) {
      // An avoided agent does not fill the sample: there may be a better one behind it.
      if (found.length >= limits.candidatesScored && likedCount > 0) break;
      const agent = available[(group.cursor + offset) % available.length];
      if (agent === undefined || !canTake(agent, wanted) || (holderCount > 0 && found.includes(agent))) continue;
      found.push(agent);
      if (!avoids || !isAvoided(turn, step, agent)) likedCount += 1;
    }
    if (available.length > 0) group.cursor = (group.cursor + 1) % available.length;
  }
  return found;
}

function holders(turn: Turn, step: StepNode): ReadonlySet<AgentNode> {
  const parts = largestParts(step);
  if (parts.length === 0) return NOBODY;
  const found = new Set<AgentNode>();
  for (const { root } of parts) for (const agent of turn.yard.fleet.holdersOf(root) ?? []) found.add(agent);
  return found;
}

function largestParts(step: StepNode): ResolvedAction['parts'] {
  const parts = step.record.action?.parts ?? NO_PARTS;
  return parts.length <= PARTS_LOOKED_AT ? parts : parts.toSorted((left, right) => right.bytes - left.bytes).slice(0, PARTS_LOOKED_AT);
}

/** How long the step waits for agents that hold most of its inputs and are busy, where it does. */
function patience(turn: Turn, step: StepNode, wanted: RequirementClass): Patience {
  const { localityMinBytes, localityWaitMs } = turn.yard.timings;
  const { action, readyAt } = step.record;
  if (step.patienceOver || action === undefined || action.inputBytes < localityMinBytes) return NO_PATIENCE;
  const awaited = new Set<AgentNode>();
  for (const agent of holders(turn, step)) {
    const fits = agent.group !== undefined && wanted.groups.has(agent.group) && turn.yard.fleet.keeperOf(agent) === undefined;
    if (fits && !isAvoided(turn, step, agent) && localBytes(step, agent) * 2 > action.inputBytes) awaited.add(agent);
  }
  return { until: (readyAt ?? turn.now) + localityWaitMs, awaited: awaited.size === 0 ? undefined : awaited };
}

/** Until when the step waits for an agent that it does not avoid; undefined where there is nothing to wait for. */
function retryAt(turn: Turn, step: StepNode, sample: readonly AgentNode[]): number | undefined {
  const wanted = turn.yard.fleet.classOf(step);
  const rejectedUntil = Math.min(...sample.map((agent) => step.rejectedBy?.get(agent.id) ?? 0));
  for (const group of wanted.groups) {
    for (const agent of group.members) {
      if (isAvoided(turn, step, agent) || turn.yard.fleet.keeperOf(agent) !== undefined) continue;
      return turn.now + turn.yard.timings.ageingMs / 2;
    }
  }
  return rejectedUntil > turn.now ? rejectedUntil : undefined;
}

function localBytes(step: StepNode, agent: AgentNode): number {
  let bytes = 0;
  for (const part of step.record.action?.parts ?? []) if (agent.parts.has(part.root)) bytes += part.bytes;
  return bytes;
}

/** What the scores of a group's agents have in common. */
type GroupTerms = { readonly group: AgentGroup; readonly labels: number; readonly cluster: number; readonly light: number };

function groupTerms(turn: Turn, step: StepNode, wanted: RequirementClass, group: AgentGroup): GroupTerms {
  const light = group.isEdge && wanted.cost <= 1 && dominant(group, wanted) <= LIGHT;
  return {
    group,
    labels: -10 * unneeded(group, wanted),
    cluster: 5 * clusterTerm(step, group, turn),
    // More than the whole range of `fit`: a nearly full edge agent still goes before an empty central one.
    light: light ? 12 : 0,
  };
}

/** By the order of `TERMS`. */
function termsOf(turn: Turn, step: StepNode, wanted: RequirementClass, agent: AgentNode, shared: GroupTerms): readonly number[] {
  return [
    shared.labels,
    inputTerm(step, agent),
    shared.cluster,
    fitTerm(agent, shared.group, wanted),
    shared.light,
    errorTerm(agent),
    avoidTerm(turn, step, agent),
  ];
}

/** The sum of `termsOf`: most candidates lose, and need no list. */
function scoreOf(turn: Turn, step: StepNode, wanted: RequirementClass, agent: AgentNode, shared: GroupTerms): number {
  return (
    shared.labels +
    inputTerm(step, agent) +
    shared.cluster +
    fitTerm(agent, shared.group, wanted) +
    shared.light +
    errorTerm(agent) +
    avoidTerm(turn, step, agent)
  );
}

function fitTerm(agent: AgentNode, group: AgentGroup, wanted: RequirementClass): number {
  const use = utilisation(agent, group, wanted);
  return 10 * (group.isEdge ? 1 - use : use);
}

function errorTerm(agent: AgentNode): number {
  return -15 * agent.errorCount;
}

function avoidTerm(turn: Turn, step: StepNode, agent: AgentNode): number {
  return isAvoided(turn, step, agent) ? -100 : 0;
}

/** Countables of the group that the class does not ask for: they are kept for those that do. */
function unneeded(group: AgentGroup, wanted: RequirementClass): number {
  let count = 0;
  for (const name in group.capacity.custom) if ((wanted.resources.custom[name] ?? 0) === 0) count += 1;
  return count;
}

function inputTerm(step: StepNode, agent: AgentNode): number {
  const bytes = step.record.action?.inputBytes ?? 0;
  if (bytes === 0 || agent.parts.size === 0) return 0;
  return 40 * (Math.min(1, localBytes(step, agent) / bytes) * Math.min(1, bytes / FULL_WEIGHT_BYTES + 0.1));
}

/** The part of the needed outputs that was made in the group's cluster. */
function clusterTerm(step: StepNode, group: AgentGroup, turn: Turn): number {
  let made = 0;
  let here = 0;
  const { needs } = step.spec;
  for (let index = 0; index < needs.length; index += 1) {
    if (needs[index]?.outputs !== true) continue;
    const need = step.needs[index];
    if (need?.record.state.kind !== 'ended' || need.record.state.outcome.kind !== 'succeeded') continue;
    made += 1;
    const producer = need.record.attempts.at(-1)?.agent;
    if (producer !== undefined && turn.yard.fleet.agents.get(producer)?.group?.cluster === group.cluster) here += 1;
  }
  return made === 0 ? 0 : here / made;
}

/** The fullest resource of the agent, with the step on it, from 0 to 1. */
function utilisation(agent: AgentNode, { capacity }: AgentGroup, { resources }: RequirementClass): number {
  return Math.max(
    part(agent.usedSlots + resources.slots, capacity.slots),
    part(agent.usedCpuMillis + resources.cpuMillis, capacity.cpuMillis),
    part(agent.usedMemoryBytes + resources.memoryBytes, capacity.memoryBytes),
  );
}

function dominant({ capacity }: AgentGroup, { resources }: RequirementClass): number {
  return Math.max(part(resources.cpuMillis, capacity.cpuMillis), part(resources.memoryBytes, capacity.memoryBytes));
}

function part(used: number, capacity: number): number {
  return capacity === 0 ? 0 : used / capacity;
}
