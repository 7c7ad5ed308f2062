import { Problems, type Place, type Problem } from '../base/document/problem.ts';
import { strictSchema, type JsonSchema } from '../base/document/field-type.ts';
import { entryOf, parseSource, type SourceNode } from '../base/document/source.ts';
import { suggest } from '../base/suggest.ts';
import type { Cluster, EnvironmentRules, FlagRules, Pool, PoolLimits, ProjectRules, Topology } from './model.ts';
import { settingProblems } from './settings.ts';
import { topologyType, type TopologyAsWritten } from './table.ts';

/** Longest text of a topology, in characters: all of its history is kept in memory. */
export const TOPOLOGY_CHARS_MAX = 131_072;

export type ReadTopology = {
  /** Undefined where there are errors. */
  readonly topology: Topology | undefined;
  readonly problems: readonly Problem[];
};

const HINTS = {
  empty: 'Start with "version: 1" and "clusters:".',
  large: 'Say less: what holds for several pools can stand in the credentials of their agents.',
};

/** Reads a topology file: text to value, or everything that is wrong with it. Pure. */
export function readTopology(written: string): ReadTopology {
  const problems = new Problems();
  if (written.length > TOPOLOGY_CHARS_MAX) {
    problems.error(
      { line: 1, column: 1 },
      '',
      `the file has ${written.length} characters, at most ${TOPOLOGY_CHARS_MAX} are taken`,
      HINTS.large,
    );
    return { topology: undefined, problems: problems.all() };
  }
  const root = parseSource(written, problems, HINTS);
  const read = root === undefined ? undefined : topologyType.read(root, '', { problems, deferred: false });
  if (read === undefined || problems.errorCount > 0) return { topology: undefined, problems: problems.all() };
  const topology = topologyOf(read);
  if (root !== undefined) {
    checkNames(topology, root, problems);
    for (const { path, message, hint } of settingProblems(topology)) problems.error(placeAt(root, path), path.join('.'), message, hint);
  }
  return { topology: problems.errorCount > 0 ? undefined : topology, problems: problems.all() };
}

/** Names of clusters must be those of clusters that the file lists. */
function checkNames({ clusters, projects }: Topology, root: SourceNode, problems: Problems): void {
  const known = clusters.map(({ name }) => name);
  const check = (name: string, path: readonly (string | number)[]) => {
    if (known.includes(name)) return;
    const near = suggest(name, known);
    const field = path.reduce<string>((at, key) => `${at}${typeof key === 'number' ? `[${key}]` : `${at === '' ? '' : '.'}${key}`}`, '');
    const hint = near === undefined ? `Write one of ${known.join(', ') || 'those under "clusters"'}.` : `Did you mean "${near}"?`;
    problems.error(placeAt(root, path), field, `the file lists no cluster "${name}"`, hint);
  };
  for (const { name, spill } of clusters)
    for (const [index, to] of (spill?.to ?? []).entries()) check(to, ['clusters', name, 'spill', 'to', index]);
  for (const [name, { home }] of Object.entries(projects)) if (home !== undefined) check(home, ['projects', name, 'home']);
}

/** Where the value at the path stands; the nearest value around it where it is not written. */
function placeAt(root: SourceNode, path: readonly (string | number)[]): Place {
  let node = root;
  for (const key of path) {
    const next =
      typeof key === 'number'
        ? node.kind === 'list'
          ? node.items[key]
          : undefined
        : node.kind === 'map'
          ? entryOf(node, key)?.value
          : undefined;
    if (next === undefined) break;
    node = next;
  }
  return node.place;
}

/** The JSON Schema of topology files, for editors. */
export function topologySchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Switchyard topology',
    description: 'A topology file (switchyard.topology.yaml): clusters and pools, what projects may take, what builds must say.',
    ...strictSchema(topologyType.schema),
  };
}

function topologyOf(written: TopologyAsWritten): Topology {
  return {
    unlisted: written.unlisted ?? 'refuse',
    ...defined({ canaries: canaryOf(written.canaries) }),
    clusters: [...(written.clusters ?? [])].map(([name, cluster]) => clusterOf(name, cluster)),
    zones: Object.fromEntries([...(written.zones ?? [])].map(([name, { inputs, exclusive }]) => [name, defined({ inputs, exclusive })])),
    projects: Object.fromEntries([...(written.projects ?? [])].map(([name, rules]) => [name, projectOf(rules)])),
    ...defined({
      environments: written.environments && environmentsOf(written.environments),
      flags: written.flags && flagsOf(written.flags),
    }),
    builds: {
      names: written.builds?.names ?? [],
      labels: Object.fromEntries(
        [...(written.builds?.labels ?? [])].map(([key, rule]) => [key, { ...defined({ about: rule.about }), values: rule.values ?? [] }]),
      ),
    },
  };
}

function environmentsOf(written: NonNullable<TopologyAsWritten['environments']>): Readonly<Record<string, EnvironmentRules>> {
  return Object.fromEntries(
    [...written].map(([name, { labels, zone, params, about }]) => [
      name,
      { selector: labels ?? '', params: Object.fromEntries(params ?? []), ...defined({ zone, about }) },
    ]),
  );
}

function flagsOf(written: NonNullable<TopologyAsWritten['flags']>): Readonly<Record<string, FlagRules>> {
  return Object.fromEntries(
    [...written].map(([name, flag]) => {
      const { type = 'boolean', values, owner = '', expires = '', about, environments } = flag;
      const own = Object.fromEntries(environments ?? []);
      return [name, { type, default: flag.default ?? false, owner, expires, environments: own, ...defined({ values, about }) }];
    }),
  );
}

type Written<K extends 'clusters' | 'projects'> = NonNullable<TopologyAsWritten[K]> extends ReadonlyMap<string, infer V> ? V : never;

function clusterOf(name: string, { zone = 'untrusted', region, pools = new Map(), spill }: Written<'clusters'>): Cluster {
  const read = [...pools].map(([poolName, pool]): Pool => ({
    name: poolName,
    class: pool.class ?? 'central',
    selector: pool.labels ?? '',
    sandbox: pool.sandbox ?? [],
    ...defined({ price: pool.price, limits: limitsOf(pool.limits), canary: canaryOf(pool.canary) }),
  }));
  const rules = spill === undefined ? undefined : { afterMs: spill.after ?? 0, to: spill.to ?? [] };
  return { name, zone, ...defined({ region, spill: rules }), pools: read };
}

type LimitsAsWritten = { readonly [K in 'steps' | 'cpu' | 'memory']: number | undefined };

function limitsOf(written: LimitsAsWritten | undefined): PoolLimits | undefined {
  return written === undefined ? undefined : defined({ steps: written.steps, cpuMillis: written.cpu, memoryBytes: written.memory });
}

type CanaryAsWritten = { readonly every: number | undefined; readonly timeout: number | undefined };

function canaryOf(written: CanaryAsWritten | undefined): Topology['canaries'] {
  return written === undefined ? undefined : defined({ everyMs: written.every, timeoutMs: written.timeout });
}

function projectOf({ weight, unfinishedSteps, quota, home }: Written<'projects'>): ProjectRules {
  return { weight: weight ?? 1, ...defined({ unfinishedSteps, quota: limitsOf(quota), home }) };
}

/** Without the fields that are undefined: the value is kept as JSON, and compared with what comes back. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // Only what is there is left.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
