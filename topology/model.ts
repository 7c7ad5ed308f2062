import type { SandboxTrait } from '../base/sandbox-trait.ts';
import type { Zone } from '../base/zone.ts';

/**
 * What a platform team says of its yard in one file: clusters and pools, what projects may take, what builds must say of
 * themselves. Plain values, as the ledger keeps them; absent and undefined are the same thing.
 */
export type Topology = {
  /** What becomes of agents whose cluster is not listed: they work as their credential says, or get nothing. */
  readonly unlisted: 'accept' | 'refuse';
  readonly clusters: readonly Cluster[];
  /** What holds for each zone; absent = `ZoneRules` with nothing in them. */
  readonly zones?: Readonly<Partial<Record<Zone, ZoneRules>>>;
  /** By name; `*` stands for each project that is not named. */
  readonly projects: Readonly<Record<string, ProjectRules>>;
  readonly builds: BuildRules;
  /** Canary builds of each pool that says nothing else; absent = none. */
  readonly canaries?: Partial<CanaryRules>;
  /** By name; absent = none. */
  readonly environments?: Readonly<Record<string, EnvironmentRules>>;
  /** By name; absent = none. */
  readonly flags?: Readonly<Record<string, FlagRules>>;
};

export type Setting = string | number | boolean;

export type EnvironmentRules = {
  /** What agents must have for its steps, beside what those ask for; '' for anything. */
  readonly selector: string;
  /** Lowest zone in which its steps run; absent = what they ask for. */
  readonly zone?: Zone;
  readonly params: Readonly<Record<string, Setting>>;
  readonly about?: string;
};

export type FlagRules = {
  readonly type: 'boolean' | 'string' | 'integer' | 'number' | 'choice';
  /** Of a choice. */
  readonly values?: readonly Setting[];
  readonly default: Setting;
  readonly owner: string;
  /** Last day (UTC) on which a topology with it can be applied, such as 2027-03-31. */
  readonly expires: string;
  readonly about?: string;
  /** Values by environment, where they have their own. */
  readonly environments: Readonly<Record<string, Setting>>;
};

export type ZoneRules = {
  /** Lowest zone of which the outputs may be that steps for this zone take; absent = this zone. */
  readonly inputs?: Zone;
  /** Whether its agents run nothing but steps that ask for it; absent = steps for lower ones too. */
  readonly exclusive?: boolean;
};

export type Cluster = {
  readonly name: string;
  /** The highest zone that its agents count as, whatever their credentials say. */
  readonly zone: Zone;
  /** Label `region` of its agents; absent = what they say themselves. */
  readonly region?: string;
  /** None = its agents may be of any pool that their credentials name. */
  readonly pools: readonly Pool[];
  /** What becomes of steps that belong here while its agents are busy; absent = they go anywhere at once. */
  readonly spill?: SpillRules;
};

/** Where steps go that belong to a cluster: what they need was made there, or it is their project's home. */
export type SpillRules = {
  /** How long they wait for its agents after they became runnable, in milliseconds; only while some of those take work. */
  readonly afterMs: number;
  /** Names of clusters, best first. Others come after all of them; none is shut out. */
  readonly to: readonly string[];
};

export type Pool = {
  readonly name: string;
  /** Label `class` of its agents: where light steps go first, and how agents fill up. */
  readonly class: 'edge' | 'central';
  /** What the labels of its agents must be; '' for anything. */
  readonly selector: string;
  /** What their sandboxes must guarantee. */
  readonly sandbox: readonly SandboxTrait[];
  /** What an hour of one of its cores costs, in a unit of the file's own; absent = 0. */
  readonly price?: number;
  /** What its agents may run together, whatever room they have; absent = all that they have room for. */
  readonly limits?: PoolLimits;
  /** What is different in this pool. */
  readonly canary?: Partial<CanaryRules>;
};

/** In milliseconds. */
export type CanaryRules = {
  /** Time between two; 0 = none. */
  readonly everyMs: number;
  /** When one that did not end has failed. */
  readonly timeoutMs: number;
};

/** Absent fields bound nothing. */
export type PoolLimits = { readonly steps?: number; readonly cpuMillis?: number; readonly memoryBytes?: number };

export type ProjectRules = {
  /** Part of the agents that its steps get where there are not enough, in comparison with others. */
  readonly weight: number;
  /** Steps of it that may be unfinished at once; absent = the bound of the coordinator. */
  readonly unfinishedSteps?: number;
  /** What its steps may run together, over all pools; absent = all that there is room for. */
  readonly quota?: PoolLimits;
  /** Cluster to which its steps belong that take nothing of others; absent = none. */
  readonly home?: string;
};

export type BuildRules = {
  /** Globs, one of which the name of each build must be; none = any name. */
  readonly names: readonly string[];
  /** Labels that each build must have; with globs, one of which the value must be, where there are any. */
  readonly labels: Readonly<Record<string, { readonly values: readonly string[]; readonly about?: string }>>;
};

/** What holds before anybody has applied a topology: every agent works as its credential says, and steps take what they need. */
export const OPEN_TOPOLOGY: Topology = {
  unlisted: 'accept',
  clusters: [],
  zones: { trusted: { inputs: 'untrusted' }, production: { inputs: 'untrusted' } },
  projects: {},
  builds: { names: [], labels: {} },
};

const PLAIN_PROJECT: ProjectRules = { weight: 1 };

/** The project of canary builds. Callers may have no builds in it, and no rule for projects holds for it. */
export const CANARY_PROJECT = 'switchyard-canary';

const CANARY_TIMEOUT_MS = 60_000;

/** What holds for a project. */
export function projectRules({ projects }: Topology, name: string): ProjectRules {
  if (name === CANARY_PROJECT) return PLAIN_PROJECT;
  return (Object.hasOwn(projects, name) ? projects[name] : projects['*']) ?? PLAIN_PROJECT;
}

/** What the file says of `<cluster>/<pool>`; undefined where it says nothing. */
export function poolRules({ clusters }: Topology, place: string): Pool | undefined {
  const slash = place.lastIndexOf('/');
  const cluster = clusters.find(({ name }) => name === place.slice(0, slash));
  return cluster?.pools.find(({ name }) => name === place.slice(slash + 1));
}

/** The canary builds of `<cluster>/<pool>`; undefined where it has none. */
export function canaryRules(topology: Topology, place: string): CanaryRules | undefined {
  const { everyMs, timeoutMs = CANARY_TIMEOUT_MS } = { ...topology.canaries, ...poolRules(topology, place)?.canary };
  return everyMs === undefined || everyMs === 0 ? undefined : { everyMs, timeoutMs };
}

/** The lowest zone of which the outputs may be that a step for the zone takes. */
export function inputFloor({ zones = {} }: Topology, zone: Zone): Zone {
  return zones[zone]?.inputs ?? zone;
}
