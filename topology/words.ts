import { formatDurationMs, formatSizeBytes } from '../base/quantity.ts';
import { ZONES, type Zone } from '../base/zone.ts';
import { inputFloor } from './model.ts';
import type { CanaryRules, Cluster, EnvironmentRules, FlagRules, Pool, PoolLimits, ProjectRules, Topology } from './model.ts';

/** What changes from one topology to another, a line for each change; empty where they say the same. */
export function changesBetween(before: Topology, after: Topology): readonly string[] {
  return [
    ...valueChange('agents of clusters that are not listed', before.unlisted, after.unlisted),
    ...named(byName(before.clusters), byName(after.clusters), 'cluster', clusterChanges, clusterText),
    ...ZONES.flatMap((zone) => zoneChanges(zone, before, after)),
    ...valueChange('canary builds', canaryText(before.canaries), canaryText(after.canaries)),
    ...named(before.projects, after.projects, 'project', projectChanges, projectText),
    ...named(before.environments ?? {}, after.environments ?? {}, 'environment', environmentChanges),
    ...named(before.flags ?? {}, after.flags ?? {}, 'flag', flagChanges, ({ owner, expires }) => ` (of ${owner}, until ${expires})`),
    ...valueChange('names of builds', listText(before.builds.names), listText(after.builds.names)),
    ...named(before.builds.labels, after.builds.labels, 'required label', (name, left, right) =>
      valueChange(`values of the required label ${name}`, listText(left.values), listText(right.values)),
    ),
  ];
}

function zoneChanges(zone: Zone, before: Topology, after: Topology): readonly string[] {
  const text = (topology: Topology) =>
    topology.zones?.[zone]?.exclusive === true ? `only steps for ${zone}` : 'steps for lower zones too';
  return [
    ...valueChange(`lowest zone of inputs of steps for ${zone}`, inputFloor(before, zone), inputFloor(after, zone)),
    ...valueChange(`what agents of the zone ${zone} run`, text(before), text(after)),
  ];
}

function clusterChanges(name: string, before: Cluster, after: Cluster): readonly string[] {
  return [
    ...valueChange(`zone of the cluster ${name}`, before.zone, after.zone),
    ...valueChange(`region of the cluster ${name}`, before.region ?? NOTHING, after.region ?? NOTHING),
    ...valueChange(`spill of the cluster ${name}`, spillText(before), spillText(after)),
    ...named(prefixed(name, before.pools), prefixed(name, after.pools), 'pool', poolChanges),
  ];
}

function poolChanges(name: string, before: Pool, after: Pool): readonly string[] {
  return [
    ...valueChange(`class of the pool ${name}`, before.class, after.class),
    ...valueChange(`labels of the pool ${name}`, before.selector || ANYTHING, after.selector || ANYTHING),
    ...valueChange(`sandbox of the pool ${name}`, listText(before.sandbox), listText(after.sandbox)),
    ...valueChange(`price of the pool ${name}`, before.price ?? 0, after.price ?? 0),
    ...valueChange(`canary builds of the pool ${name}`, canaryText(before.canary), canaryText(after.canary)),
    ...valueChange(`limits of the pool ${name}`, limitsText(before.limits), limitsText(after.limits)),
  ];
}

function projectChanges(name: string, before: ProjectRules, after: ProjectRules): readonly string[] {
  return [
    ...valueChange(`weight of the project ${name}`, before.weight, after.weight),
    ...valueChange(`unfinished steps of the project ${name}`, before.unfinishedSteps ?? NO_BOUND, after.unfinishedSteps ?? NO_BOUND),
    ...valueChange(`quota of the project ${name}`, limitsText(before.quota), limitsText(after.quota)),
    ...valueChange(`home of the project ${name}`, before.home ?? NOTHING, after.home ?? NOTHING),
  ];
}

function environmentChanges(name: string, before: EnvironmentRules, after: EnvironmentRules): readonly string[] {
  return [
    ...valueChange(`labels of the environment ${name}`, before.selector || ANYTHING, after.selector || ANYTHING),
    ...valueChange(`zone of the environment ${name}`, before.zone ?? NOTHING, after.zone ?? NOTHING),
    ...settingChanges(`of the environment ${name}`, before.params, after.params),
  ];
}

function flagChanges(name: string, before: FlagRules, after: FlagRules): readonly string[] {
  const values = ({ type, values: known }: FlagRules) => (known === undefined ? type : `${type} of ${known.join(', ')}`);
  return [
    ...valueChange(`type of the flag ${name}`, values(before), values(after)),
    ...valueChange(`default of the flag ${name}`, JSON.stringify(before.default), JSON.stringify(after.default)),
    ...valueChange(`owner of the flag ${name}`, before.owner, after.owner),
    ...valueChange(`last day of the flag ${name}`, before.expires, after.expires),
    ...settingChanges(`of the flag ${name}`, before.environments, after.environments),
  ];
}

/** Values by name, as JSON: 1 and "1" are different things. */
function settingChanges(where: string, before: FlagRules['environments'], after: FlagRules['environments']): readonly string[] {
  const text = (values: FlagRules['environments'], name: string) => (Object.hasOwn(values, name) ? JSON.stringify(values[name]) : NOTHING);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .toSorted()
    .flatMap((name) => valueChange(`value ${name} ${where}`, text(before, name), text(after, name)));
}

function spillText({ spill }: Cluster): string {
  if (spill === undefined) return 'anywhere at once';
  const to = spill.to.length === 0 ? 'anywhere' : spill.to.join(', ');
  return spill.afterMs === 0 ? `${to} at once` : `${to} after ${formatDurationMs(spill.afterMs)}`;
}

function limitsText({ steps, cpuMillis, memoryBytes }: PoolLimits = {}): string {
  const parts = [
    ...(steps === undefined ? [] : [`${steps} steps`]),
    ...(cpuMillis === undefined ? [] : [`${cpuMillis}m CPU`]),
    ...(memoryBytes === undefined ? [] : [`${formatSizeBytes(memoryBytes)} of memory`]),
  ];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function canaryText({ everyMs, timeoutMs }: Partial<CanaryRules> = {}): string {
  const every = everyMs === undefined ? [] : [everyMs === 0 ? 'none' : `every ${formatDurationMs(everyMs)}`];
  const parts = [...every, ...(timeoutMs === undefined ? [] : [`for at most ${formatDurationMs(timeoutMs)}`])];
  return parts.length === 0 ? NOTHING_ELSE : parts.join(', ');
}

function clusterText({ zone, region, pools }: Cluster): string {
  const where = region === undefined ? zone : `${zone}, region ${region}`;
  return ` (${where}${pools.length === 0 ? '' : `, pools ${pools.map((pool) => pool.name).join(', ')}`})`;
}

function projectText({ weight, quota }: ProjectRules): string {
  return quota === undefined ? ` (weight ${weight})` : ` (weight ${weight}, quota ${limitsText(quota)})`;
}

const NOTHING = 'nothing';
const NOTHING_ELSE = 'as by default';
const ANYTHING = 'anything';
const NO_BOUND = 'no bound of its own';

function valueChange(what: string, before: string | number, after: string | number): readonly string[] {
  return before === after ? [] : [`${what}: ${before} becomes ${after}`];
}

function listText(values: readonly string[]): string {
  return values.length === 0 ? ANYTHING : values.join(', ');
}

function named<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
  what: string,
  changed: (name: string, before: T, after: T) => readonly string[],
  text: (value: T) => string = () => '',
): readonly string[] {
  const lines: string[] = [];
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted()) {
    const was = Object.hasOwn(before, name) ? before[name] : undefined;
    const is = Object.hasOwn(after, name) ? after[name] : undefined;
    if (was === undefined && is !== undefined) lines.push(`${what} ${name} is new${text(is)}`);
    else if (was !== undefined && is === undefined) lines.push(`${what} ${name} goes`);
    else if (was !== undefined && is !== undefined) lines.push(...changed(name, was, is));
  }
  return lines;
}

function byName<T extends { readonly name: string }>(values: readonly T[]): Readonly<Record<string, T>> {
  return Object.fromEntries(values.map((value) => [value.name, value]));
}

function prefixed(cluster: string, pools: readonly Pool[]): Readonly<Record<string, Pool>> {
  return Object.fromEntries(pools.map((pool) => [`${cluster}/${pool.name}`, pool]));
}
