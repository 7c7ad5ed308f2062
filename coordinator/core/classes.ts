import { assert } from '../../base/assert.ts';
import { parseSelector, selects, unmet } from '../../base/selector.ts';
import { formatSizeBytes } from '../../base/quantity.ts';
import type { Resources } from '../../base/resources.ts';
import { atLeast, parseZone, ZONES, type Zone } from '../../base/zone.ts';
import type { Labels } from '../../base/labels.ts';
import type { Topology } from '../../topology/model.ts';
import type { AgentFacts } from './state.ts';
import { AgentGroup, RequirementClass, type AgentNode, type StepNode } from './nodes.ts';
import { ClassQueue } from './queue.ts';
import type { StepSpec } from './spec.ts';

/** Memory that weighs as much as a core in a share. */
const MEMORY_PER_CORE_BYTES = 4 * 1024 ** 3;

/** What makes two steps ask for the same. Network is none of it: an agent that offers `isolatesNetwork` can do both. */
export function classKeyOf(spec: StepSpec): string {
  return `${canonical(spec.selector)};${resourcesKey(spec.resources)};${spec.zone};${spec.sandbox.toSorted().join(',')}${spec.canary === true ? ';canary' : ''}`;
}

/** As `classKeyOf`, but cheap: specs that say the same in other words differ here. */
export function specTextOf({ selector, resources, zone, sandbox, canary }: StepSpec): string {
  return `${selector};${resourcesKey(resources)};${zone};${sandbox.length === 0 ? '' : sandbox.join(',')}${canary === true ? ';canary' : ''}`;
}

/** Whether the two specs are of one class for sure: what they ask for is written in the same words. */
export function asksForTheSame(left: StepSpec, right: StepSpec): boolean {
  const { resources: leftResources } = left;
  const { resources: rightResources } = right;
  return (
    left.selector === right.selector &&
    leftResources.slots === rightResources.slots &&
    leftResources.cpuMillis === rightResources.cpuMillis &&
    leftResources.memoryBytes === rightResources.memoryBytes &&
    left.zone === right.zone &&
    left.canary === right.canary &&
    left.sandbox.length === right.sandbox.length &&
    left.sandbox.every((trait, index) => trait === right.sandbox[index]) &&
    (leftResources.custom === rightResources.custom || recordKey(leftResources.custom) === recordKey(rightResources.custom))
  );
}

export function classOf(spec: StepSpec, key: string, ordinal: number): RequirementClass {
  const parsed = parseSelector(spec.selector);
  assert(parsed.kind === 'ok', 'selectors are checked on admission');
  const needs = {
    selector: parsed.selector,
    resources: spec.resources,
    zone: spec.zone,
    traits: spec.sandbox,
    isCanary: spec.canary === true,
    cost: costOf(spec.resources),
  };
  return new RequirementClass(key, ordinal, needs, new ClassQueue(spec.resources));
}

/** Agents with the same key are one group. */
export function groupKeyOf(labels: Labels, capacity: Resources, traits: readonly string[], topology: Topology): string {
  const exclusive = isExclusive(topology, zoneOf(labels)) ? ';exclusive' : '';
  return `${recordKey(labels)};${resourcesKey(capacity)};${traits.toSorted().join(',')}${exclusive}`;
}

/** The group of agents with these labels, which are those that the topology gives them. */
export function groupOf(
  key: string,
  labels: Labels,
  { capacity, sandbox }: Pick<AgentFacts, 'capacity' | 'sandbox'>,
  topology: Topology,
): AgentGroup {
  const zone = zoneOf(labels);
  return new AgentGroup(key, labels, { capacity, traits: new Set(sandbox), zone, isExclusive: isExclusive(topology, zone) });
}

function isExclusive({ zones = {} }: Topology, zone: Zone): boolean {
  return zones[zone]?.exclusive === true;
}

function zoneOf(labels: Labels): Zone {
  return parseZone(labels['zone'] ?? '') ?? ZONES[0];
}

/** Whether an agent of the group fits when it runs nothing else. */
export function matches(group: AgentGroup, wanted: RequirementClass): boolean {
  return (
    zoneAllows(group, wanted) &&
    contains(group.capacity, wanted.resources) &&
    wanted.traits.every((trait) => group.traits.has(trait)) &&
    selects(wanted.selector, group.labels)
  );
}

function zoneAllows({ zone, isExclusive }: AgentGroup, wanted: RequirementClass): boolean {
  return isExclusive ? zone === wanted.zone : atLeast(zone, wanted.zone);
}

/** What the group lacks for the class, for people; empty where it matches. */
export function lacks(group: AgentGroup, wanted: RequirementClass): readonly string[] {
  const { capacity } = group;
  const { resources } = wanted;
  const missing = [...unmet(wanted.selector, group.labels)];
  if (!atLeast(group.zone, wanted.zone)) missing.push(`zone ${wanted.zone} or higher, but it is in ${group.zone}`);
  else if (!zoneAllows(group, wanted)) missing.push(`a step for zone ${group.zone}, the only one that its agents take`);
  if (resources.slots > capacity.slots) missing.push(`${resources.slots} slots, but it has ${capacity.slots}`);
  if (resources.cpuMillis > capacity.cpuMillis) missing.push(`${resources.cpuMillis}m CPU, but it has ${capacity.cpuMillis}m`);
  if (resources.memoryBytes > capacity.memoryBytes) {
    missing.push(`${formatSizeBytes(resources.memoryBytes)} of memory, but it has ${formatSizeBytes(capacity.memoryBytes)}`);
  }
  for (const [name, count] of Object.entries(resources.custom)) {
    if (count > (capacity.custom[name] ?? 0)) missing.push(`${count} ${name}, but it has ${capacity.custom[name] ?? 0}`);
  }
  for (const trait of wanted.traits) if (!group.traits.has(trait)) missing.push(`the sandbox trait ${trait}`);
  return missing;
}

/** Whether what the agent's leases leave is enough, and it runs no other zone's steps that could meddle. */
export function hasRoom(agent: AgentNode, wanted: RequirementClass): boolean {
  const { group } = agent;
  if (group === undefined) return false;
  const { capacity } = group;
  const { resources } = wanted;
  if (agent.usedSlots + resources.slots > capacity.slots) return false;
  if (agent.usedCpuMillis + resources.cpuMillis > capacity.cpuMillis) return false;
  if (agent.usedMemoryBytes + resources.memoryBytes > capacity.memoryBytes) return false;
  for (const name in resources.custom) {
    if ((agent.usedCustom.get(name) ?? 0) + (resources.custom[name] ?? 0) > (capacity.custom[name] ?? 0)) return false;
  }
  return zoneFits(agent, wanted);
}

/** As `hasRoom`, once the lease of `leaving` has ended. */
export function hasRoomWithout(agent: AgentNode, wanted: RequirementClass, leaving: StepNode): boolean {
  const { group } = agent;
  if (group === undefined) return false;
  const { capacity } = group;
  const { resources } = wanted;
  const freed = leaving.spec.resources;
  if (agent.usedSlots - freed.slots + resources.slots > capacity.slots) return false;
  if (agent.usedCpuMillis - freed.cpuMillis + resources.cpuMillis > capacity.cpuMillis) return false;
  if (agent.usedMemoryBytes - freed.memoryBytes + resources.memoryBytes > capacity.memoryBytes) return false;
  for (const name in resources.custom) {
    const used = (agent.usedCustom.get(name) ?? 0) - (freed.custom[name] ?? 0);
    if (used + (resources.custom[name] ?? 0) > (capacity.custom[name] ?? 0)) return false;
  }
  return agent.leases.size <= 1 || zoneFits(agent, wanted);
}

/** An agent runs steps of one zone at a time, unless its sandbox isolates the host. */
export function zoneFits(agent: AgentNode, wanted: RequirementClass): boolean {
  if (agent.leases.size === 0 || agent.group?.traits.has('isolatesHost') === true) return true;
  for (const other of agent.leases.values()) return other.spec.zone === wanted.zone;
  return true;
}

/** The largest part of an ordinary core that the step takes, at least 1. */
function costOf(resources: Resources): number {
  let cost = Math.max(1, resources.slots, resources.cpuMillis / 1_000, resources.memoryBytes / MEMORY_PER_CORE_BYTES);
  for (const name in resources.custom) cost = Math.max(cost, resources.custom[name] ?? 0);
  return Math.ceil(cost);
}

/** Whether the capacity is enough for one step alone. */
export function contains(capacity: Resources, wanted: Resources): boolean {
  if (wanted.slots > capacity.slots || wanted.cpuMillis > capacity.cpuMillis || wanted.memoryBytes > capacity.memoryBytes) return false;
  for (const name in wanted.custom) if ((wanted.custom[name] ?? 0) > (capacity.custom[name] ?? 0)) return false;
  return true;
}

function canonical(selector: string): string {
  const parsed = parseSelector(selector);
  return parsed.kind === 'ok' ? parsed.selector.canonical : selector;
}

/** The same text for equal resources. */
export function resourcesKey(resources: Resources): string {
  return `${resources.slots},${resources.cpuMillis},${resources.memoryBytes},${recordKey(resources.custom)}`;
}

function recordKey(record: Readonly<Record<string, string | number>>): string {
  const keys = Object.keys(record);
  if (keys.length === 0) return '';
  return keys
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${JSON.stringify(record[key])}`)
    .join(',');
}
