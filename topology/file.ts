import { Problems, type Problem } from '../base/document/problem.ts';
import { strictSchema, type JsonSchema } from '../base/document/field-type.ts';
import { parseSource } from '../base/document/source.ts';
import type { Cluster, Pool, ProjectRules, Topology } from './model.ts';
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
  return { topology: topologyOf(read), problems: problems.all() };
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
    clusters: [...(written.clusters ?? [])].map(([name, cluster]) => clusterOf(name, cluster)),
    projects: Object.fromEntries([...(written.projects ?? [])].map(([name, rules]) => [name, projectOf(rules)])),
    builds: {
      names: written.builds?.names ?? [],
      labels: Object.fromEntries(
        [...(written.builds?.labels ?? [])].map(([key, rule]) => [key, { ...defined({ about: rule.about }), values: rule.values ?? [] }]),
      ),
    },
  };
}

type Written<K extends 'clusters' | 'projects'> = NonNullable<TopologyAsWritten[K]> extends ReadonlyMap<string, infer V> ? V : never;

function clusterOf(name: string, { zone = 'untrusted', region, pools = new Map() }: Written<'clusters'>): Cluster {
  const read = [...pools].map(([poolName, pool]): Pool => ({
    name: poolName,
    class: pool.class ?? 'central',
    selector: pool.labels ?? '',
    sandbox: pool.sandbox ?? [],
  }));
  return { name, zone, ...defined({ region }), pools: read };
}

function projectOf({ weight, unfinishedSteps }: Written<'projects'>): ProjectRules {
  return { weight: weight ?? 1, ...defined({ unfinishedSteps }) };
}

/** Without the fields that are undefined: the value is kept as JSON, and compared with what comes back. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // Only what is there is left.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
