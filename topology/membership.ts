import type { Labels } from '../base/labels.ts';
import type { SandboxTrait } from '../base/sandbox-trait.ts';
import { parseSelector, unmet } from '../base/selector.ts';
import { suggest } from '../base/suggest.ts';
import { atLeast, parseZone, ZONES, type Zone } from '../base/zone.ts';
import type { Cluster, Pool, Topology } from './model.ts';

/** What an agent counts as under a topology. */
export type Membership =
  /** `labels` are those that steps select by; `pool` is undefined where the topology says nothing of it. */
  | { readonly kind: 'member'; readonly labels: Labels; readonly pool: Pool | undefined }
  /** It gets nothing; `why` for people, with what would help. */
  | { readonly kind: 'outsider'; readonly why: string };

/**
 * The agent's place, by the labels of its credential (`cluster`, `pool`, `zone`); its pool may ask for others that it says of itself.
 * The topology only ever takes away: nobody is of a higher zone than the credential says.
 */
export function membershipOf(
  topology: Topology,
  agent: { readonly labels: Labels; readonly sandbox: readonly SandboxTrait[] },
): Membership {
  const { labels } = agent;
  const name = labels['cluster'] ?? '';
  const cluster = topology.clusters.find((one) => one.name === name);
  if (cluster === undefined) {
    if (topology.unlisted === 'accept') return { kind: 'member', labels, pool: undefined };
    return { kind: 'outsider', why: notListed(topology, name) };
  }
  const placed = {
    ...labels,
    zone: lower(zoneOf(labels), cluster.zone),
    ...(cluster.region === undefined ? {} : { region: cluster.region }),
  };
  if (cluster.pools.length === 0) return { kind: 'member', labels: placed, pool: undefined };
  return inPool(cluster, { labels: placed, sandbox: agent.sandbox });
}

function inPool(cluster: Cluster, { labels, sandbox }: { readonly labels: Labels; readonly sandbox: readonly SandboxTrait[] }): Membership {
  const named = labels['pool'] ?? '';
  const pool = cluster.pools.find(({ name }) => name === named);
  if (pool === undefined) {
    const near = suggest(
      named,
      cluster.pools.map(({ name }) => name),
    );
    return {
      kind: 'outsider',
      why: `the topology lists no pool ${named} in the cluster ${cluster.name}${near === undefined ? '' : ` (but ${near})`}`,
    };
  }
  const missing = lacksFor(pool, labels, sandbox);
  if (missing.length > 0) return { kind: 'outsider', why: `pool ${cluster.name}/${pool.name} asks for ${missing.join(' and ')}` };
  return { kind: 'member', labels: { ...labels, class: pool.class }, pool };
}

function lacksFor(pool: Pool, labels: Labels, sandbox: readonly SandboxTrait[]): readonly string[] {
  const parsed = parseSelector(pool.selector);
  // Selectors are checked where the file is read.
  const missing = parsed.kind === 'ok' ? [...unmet(parsed.selector, labels)] : [parsed.message];
  for (const trait of pool.sandbox) if (!sandbox.includes(trait)) missing.push(`the sandbox trait ${trait}, which it does not guarantee`);
  return missing;
}

function notListed({ clusters }: Topology, name: string): string {
  if (name === '') return 'its credential names no cluster, and the topology takes only agents of those that it lists';
  const near = suggest(
    name,
    clusters.map((cluster) => cluster.name),
  );
  return `the topology does not list its cluster ${name}${near === undefined ? '' : ` (but ${near})`}`;
}

function zoneOf(labels: Labels): Zone {
  return parseZone(labels['zone'] ?? '') ?? ZONES[0];
}

function lower(left: Zone, right: Zone): Zone {
  return atLeast(left, right) ? right : left;
}
