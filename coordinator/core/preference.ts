import { poolRules, projectRules, type Topology } from '../../topology/model.ts';
import type { Fleet } from './fleet.ts';
import type { Home, RequirementClass, Standing, StepNode, Tier } from './nodes.ts';

/**
 * Where a step rather goes, by the topology: to the cluster to which it belongs, then to one of the same region, then to those that the
 * cluster spills to, in their order, then to the rest; among equals to the cheapest pool. What comes later is looked at only where
 * nothing before has room.
 */

/** Whether the topology says anything of that. Where it does not, all agents that fit are scored alike. */
export function hasPreferences({ clusters, projects }: Topology): boolean {
  const says = clusters.some(({ spill, pools }) => spill !== undefined || pools.some(({ price = 0 }) => price > 0));
  return says || Object.values(projects).some(({ home }) => home !== undefined);
}

/** The cluster where most of what the step takes of others was made; else the home of its project; undefined where there is none. */
export function homeOf(fleet: Fleet, step: StepNode): Home | undefined {
  const made = new Map<string, number>();
  for (const [index, { outputs }] of step.spec.needs.entries()) {
    const producer = outputs ? step.needs[index]?.record.attempts.at(-1)?.agent : undefined;
    const cluster = producer === undefined ? undefined : fleet.agents.get(producer)?.group?.cluster;
    if (cluster !== undefined && cluster !== '') made.set(cluster, (made.get(cluster) ?? 0) + 1);
  }
  let best: string | undefined;
  for (const [cluster, count] of made) if (best === undefined || count > (made.get(best) ?? 0)) best = cluster;
  if (best !== undefined) return { cluster: best, because: 'inputs' };
  const { home } = projectRules(fleet.topology, step.build.project.name);
  return home === undefined ? undefined : { cluster: home, because: 'project' };
}

/** The places of the class' groups by how they stand to the home, best first. Costs their number where it is not known yet. */
export function tiersOf({ topology }: Fleet, wanted: RequirementClass, home: Home | undefined): readonly Tier[] {
  if (wanted.tiersOf !== topology) {
    wanted.tiers.clear();
    wanted.tiersOf = topology;
  }
  const known = wanted.tiers.get(home?.cluster ?? '');
  if (known !== undefined) return known;
  const found = new Map<string, { readonly standing: Standing; readonly places: Set<string> }>();
  for (const place of wanted.places.keys()) {
    const standing = standingOf(topology, home, place);
    const key = `${standing.distance} ${standing.spill} ${standing.price}`;
    const tier = found.get(key);
    if (tier === undefined) found.set(key, { standing, places: new Set([place]) });
    else tier.places.add(place);
  }
  const tiers = [...found.values()].toSorted(
    ({ standing: left }, { standing: right }) => left.distance - right.distance || left.spill - right.spill || left.price - right.price,
  );
  wanted.tiers.set(home?.cluster ?? '', tiers);
  return tiers;
}

function standingOf(topology: Topology, home: Home | undefined, place: string): Standing {
  const { clusters } = topology;
  const name = place.slice(0, place.lastIndexOf('/'));
  const cluster = clusters.find((one) => one.name === name);
  const price = poolRules(topology, place)?.price ?? 0;
  if (home === undefined) return { distance: 2, spill: 0, price };
  if (home.cluster === name) return { distance: 0, spill: 0, price };
  const from = clusters.find((one) => one.name === home.cluster);
  const to = from?.spill?.to ?? [];
  const at = to.indexOf(name);
  const isNear = from?.region !== undefined && from.region === cluster?.region;
  return { distance: isNear ? 1 : 2, spill: at < 0 ? to.length : at, price };
}

/** How long the step waits for agents of its home that are busy: until then, in milliseconds of the clock. */
export function homeWaitUntil({ topology }: Fleet, step: StepNode, home: Home): number {
  const spill = topology.clusters.find(({ name }) => name === home.cluster)?.spill;
  return spill === undefined ? 0 : (step.record.readyAt ?? 0) + spill.afterMs;
}

/** Why the agent's pool was the first to be looked at, for people. */
export function standingText(cluster: string, standing: Standing, home: Home | undefined): string {
  const price = standing.price > 0 ? `, at ${standing.price} a core hour` : '';
  if (home === undefined) return `it belongs to no cluster${price === '' ? '' : `: the cheapest pool with room${price}`}`;
  const belongs = homeText(home);
  if (standing.distance === 0) return `${cluster}, ${belongs}${price}`;
  const which = standing.distance === 1 ? ', in the same region' : '';
  return `${cluster}${which}, as nothing before it had room: first comes ${home.cluster}, ${belongs}${price}`;
}

export function homeText({ because }: Home): string {
  return because === 'inputs' ? 'where what it needs was made' : 'the home of its project';
}
