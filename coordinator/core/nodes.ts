import type { TimeMs } from '../../base/clock.ts';
import type { Labels } from '../../base/labels.ts';
import type { Resources } from '../../base/resources.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Selector } from '../../base/selector.ts';
import type { Zone } from '../../base/zone.ts';
import type { Digest } from '../../cache/digest.ts';
import { Bag } from './bag.ts';
import type { ClassQueue, BuildQueue, ProjectQueue } from './queue.ts';
import { FRESH_STEP } from './step-record.ts';
import { Timer } from './timers.ts';
import type { AgentId, BuildId, LeaseToken, StepId } from './ids.ts';
import type { BuildRecord } from './record.ts';
import type { BuildSpec, StepSpec } from './spec.ts';
import type { PoolLimits, Topology } from '../../topology/model.ts';
import type { BuildState, Hold, SessionRecord, StepRecord } from './state.ts';

/**
 * The core's working memory. `record`, `state`, `session` are durable and change by `Yard.evolve` only; everything else is
 * an index over them, or knowledge that may be lost with the process (marked as such).
 */
export type TimerOwner = StepNode | BuildNode | HoldNode | AgentNode | PoolNode | RequirementClass;

/** Something that gets a share of the agents: a project of all, a build (or several together) of its project's. */
export type Share = {
  weight: number;
  /** Cost of what it holds now; the durable leases give it back after a restart. */
  load: number;
  /** Cost of all that it was granted, by weight; it starts level with the others. Lost with the process. */
  virtualTime: number;
};

/** Retries that may still be had, as of `at`; below 0 there is a debt. */
export type RetryBudget = { left: number; at: TimeMs };

const NO_STEPS: readonly StepNode[] = [];

export class ProjectNode implements Share {
  weight: number;
  load = 0;
  virtualTime = 0;
  /** Virtual time of its newest grant to one of its builds: where a new build starts. */
  buildsAt = 0;
  readonly name: string;
  readonly ordinal: number;
  /** Those of its queues that hold steps. */
  readonly queues = new Bag<ProjectQueue>();
  /** Those that have a name. */
  readonly #shares = new Map<string, ShareNode>();
  unfinishedCount = 0;
  buildCount = 0;
  /** What its steps may run together, by the topology, and what they do. */
  quota: PoolLimits | undefined;
  readonly used: { steps: number; cpuMillis: number; memoryBytes: number } = { steps: 0, cpuMillis: 0, memoryBytes: 0 };
  /** Lost with the process. */
  readonly retries: RetryBudget;

  constructor(name: string, ordinal: number, weight: number, budget: number) {
    this.name = name;
    this.ordinal = ordinal;
    this.weight = weight;
    this.retries = { left: budget, at: 0 };
  }

  /** The share of a new build, which counts as one of it from now on. */
  shareOf({ share: name, weight }: Pick<BuildSpec, 'share' | 'weight'>, ordinal: number): ShareNode {
    const known = name === undefined ? undefined : this.#shares.get(name);
    const share = known ?? new ShareNode(this, ordinal, weight);
    if (name !== undefined) this.#shares.set(name, share);
    share.buildCount += 1;
    return share;
  }

  /** The build is known no more. */
  leaveShare({ share, record }: BuildNode): void {
    share.buildCount -= 1;
    if (share.buildCount === 0 && record.spec.share !== undefined) this.#shares.delete(record.spec.share);
  }
}

/** What a build has a part in: a share of its own, or one together with the project's other builds that name the same. */
export class ShareNode implements Share {
  weight: number;
  load = 0;
  virtualTime = 0;
  readonly project: ProjectNode;
  readonly ordinal: number;
  /** Those of its queues that hold steps. */
  readonly queues = new Bag<BuildQueue>();
  /** All of its queues, by its project's; until there is nothing in them and a build of it ends. */
  readonly queueOf = new Map<ProjectQueue, BuildQueue>();
  /** Builds that are known and have a part in it. */
  buildCount = 0;

  constructor(project: ProjectNode, ordinal: number, weight: number) {
    this.project = project;
    this.ordinal = ordinal;
    this.weight = weight;
  }
}

export class BuildNode {
  readonly kind = 'build';
  readonly id: BuildId;
  readonly record: BuildRecord;
  readonly project: ProjectNode;
  readonly ordinal: number;
  readonly share: ShareNode;
  readonly timer: Timer<TimerOwner>;
  /** By position in the submission; empty until all of them are there. */
  steps: readonly StepNode[] = [];
  state: BuildState = { kind: 'running', cancelling: undefined };
  endedCount = 0;
  fromCacheCount = 0;
  eventSeq = 0;

  constructor(record: BuildRecord, project: ProjectNode, ordinal: number) {
    this.id = record.id;
    this.record = record;
    this.project = project;
    this.ordinal = ordinal;
    this.share = project.shareOf(record.spec, ordinal);
    this.timer = new Timer<TimerOwner>(this, ordinal);
  }
}

export class StepNode {
  readonly kind = 'step';
  readonly id: StepId;
  readonly spec: StepSpec;
  readonly build: BuildNode;
  /** Position in the submission. */
  readonly index: number;
  readonly timer: Timer<TimerOwner>;
  needs: readonly StepNode[] = NO_STEPS;
  dependents: readonly StepNode[] = NO_STEPS;
  record: StepRecord = FRESH_STEP;
  /** Needs that have not ended. */
  waiting = 0;
  /** Steps on the longest chain from here on, this one included. */
  criticalPath = 1;
  /** Place in its queue, -1 outside. */
  heapAt = -1;
  queue: BuildQueue | undefined;
  requirements: RequirementClass | undefined;
  /** Of its action, see `mergeKeyOf`; and whether it is the one whose run is shared. */
  mergeKey: string | undefined;
  isPrimary = false;
  /** Order within a build's queue; see `queue.ts`. */
  rank = 0;
  /** Where its record is among the writes of the current turn. */
  writeTurn = -1;
  writeAt = 0;
  writeReleased = false;
  // From here on: lost with the process.
  /** Backoff is not over yet. */
  delayed = false;
  /** Waits for a better agent than the free ones until then; undefined = does not. */
  parkedUntil: TimeMs | undefined;
  /** Whom it waits for while parked; undefined = any agent that it does not avoid. */
  awaited: Awaited | undefined;
  /** It has waited for a better agent already. */
  patienceOver = false;
  /** When to ask for its action again. */
  resolveAt: TimeMs | undefined;
  resolveTries = 0;
  /** Since when its action could not be worked out because the cache could not be asked. */
  unresolvedSince: TimeMs | undefined;
  /** Its lease is not over before, whatever the record says: a takeover or a stall of ours was no fault of the agent. */
  frozenUntil: TimeMs = 0;
  /** Why its newest wait is longer than its backoff. */
  waitNote: string | undefined;
  cacheNotes: readonly string[] | undefined;
  /** Agents that turned an offer of it down, and until when they are not asked again. */
  rejectedBy: Map<AgentId, TimeMs> | undefined;
  placement: Placement | undefined;

  constructor(id: StepId, spec: StepSpec, build: BuildNode, index: number) {
    this.id = id;
    this.spec = spec;
    this.build = build;
    this.index = index;
    this.timer = new Timer<TimerOwner>(this, index);
  }
}

/** The agents that hold most of a step's inputs, or those of the cluster to which it belongs. */
export type Awaited =
  | { readonly kind: 'holders'; readonly agents: ReadonlySet<AgentNode> }
  | { readonly kind: 'cluster'; readonly home: Home };

/** The cluster to which a step belongs. */
export type Home = { readonly cluster: string; readonly because: 'inputs' | 'project' };

/** How a pool stands to a home, by the topology; smaller goes first, field by field. */
export type Standing = {
  /** 0 = in the home, 1 = in its region, 2 = elsewhere. */
  readonly distance: 0 | 1 | 2;
  /** Place among the clusters that the home spills to, from 0; their number where it is none of them. */
  readonly spill: number;
  readonly price: number;
};

/** Pools that stand alike: `cluster/pool`, by which groups are found. */
export type Tier = { readonly standing: Standing; readonly places: ReadonlySet<string> };

/** `terms` of the score that won, by the order of `TERMS`; `standing` where the topology has preferences. */
export type Placement = {
  readonly agent: AgentId;
  readonly terms: readonly number[];
  readonly candidateCount: number;
  readonly standing?: Standing;
  readonly home?: Home | undefined;
};

/** Agents that are the same to every step: what can be said of one is said of all. */
export class AgentGroup {
  readonly key: string;
  readonly labels: Labels;
  readonly capacity: Resources;
  readonly traits: ReadonlySet<SandboxTrait>;
  readonly zone: Zone;
  /** It takes no steps for lower zones. */
  readonly isExclusive: boolean;
  readonly cluster: string;
  /** `<cluster>/<pool>`, each of them '' where its labels do not say. */
  readonly place: string;
  readonly isEdge: boolean;
  /** Of its members; undefined where they name none. */
  pool: PoolNode | undefined;
  readonly members = new Set<AgentNode>();
  /** Members that may be offered something, in no useful order. */
  readonly available: AgentNode[] = [];
  /** Where the next search begins. */
  cursor = 0;

  constructor(key: string, labels: Labels, facts: Pick<AgentGroup, 'capacity' | 'traits' | 'zone' | 'isExclusive'>) {
    this.key = key;
    this.labels = labels;
    this.capacity = facts.capacity;
    this.traits = facts.traits;
    this.zone = facts.zone;
    this.isExclusive = facts.isExclusive;
    this.cluster = labels['cluster'] ?? '';
    this.place = `${this.cluster}/${labels['pool'] ?? ''}`;
    this.isEdge = labels['class'] === 'edge';
  }
}

export class AgentNode {
  readonly kind = 'agent';
  readonly id: AgentId;
  readonly timer: Timer<TimerOwner>;
  readonly leases = new Map<LeaseToken, StepNode>();
  session: SessionRecord | undefined;
  group: AgentGroup | undefined;
  usedCpuMillis = 0;
  usedMemoryBytes = 0;
  usedSlots = 0;
  readonly usedCustom = new Map<string, number>();
  /** Leases that are offered and not accepted. */
  offeredCount = 0;
  // From here on: lost with the process.
  /** Its labels as the topology has them: what steps select by. */
  labels: Labels = {};
  /** Why no pool of the topology takes it; undefined = one does, or none needs to. */
  outside: string | undefined;
  /** The pool of these labels, where they name one. */
  pool: PoolNode | undefined;
  /** The cluster of these labels, where they name one. */
  cluster: PoolNode | undefined;
  connected = false;
  draining: string | undefined;
  /** Why it takes nothing new for now, in its own words; undefined = it takes what it has room for. */
  cordoned: string | undefined;
  credits = 0;
  disconnectedAt: TimeMs = 0;
  /** Place in its group's `available`, -1 outside. */
  availableAt = -1;
  /** Ends by our fault in a row, and what follows from them. */
  errorCount = 0;
  /** The step whose `cache-error` was counted last. */
  missedBy: StepId | undefined;
  breaker: BreakerState = { kind: 'closed' };
  breakerTrips = 0;
  /** When its errors in a row began, and what the newest one said. */
  errorsSince: TimeMs = 0;
  lastError: string | undefined;
  /** The class that it is kept free for. */
  reservedFor: RequirementClass | undefined;
  /** Trees that it holds with their bytes, least recently used first. */
  readonly parts = new Map<Digest, number>();

  constructor(id: AgentId, ordinal: number) {
    this.id = id;
    this.timer = new Timer<TimerOwner>(this, ordinal);
  }
}

/** An open breaker lets nothing through before `until`; a half-open one lets one step through, to see. */
export type BreakerState = { readonly kind: 'closed' } | { readonly kind: 'open'; readonly until: TimeMs } | { readonly kind: 'half-open' };

/**
 * The agents of one pool of a cluster, or of a whole cluster, as far as they err together.
 * All of it is lost with the process: a new leader starts
 * with closed breakers, and learns within a few steps what is the matter.
 */
export class PoolNode {
  readonly kind = 'pool';
  readonly scope: 'pool' | 'cluster';
  /** `<cluster>/<pool>` or `<cluster>`, as holds name it. */
  readonly name: string;
  readonly timer: Timer<TimerOwner>;
  readonly members = new Set<AgentNode>();
  breaker: BreakerState = { kind: 'closed' };
  trips = 0;
  /** Errors since a command ran last on any of its agents, and who met them. */
  errorCount = 0;
  readonly errorAgents = new Set<AgentId>();
  /** Names of the pools of those. */
  readonly errorPools = new Set<string>();
  readonly errorSteps = new Set<StepId>();
  errorsSince: TimeMs = 0;
  lastError: string | undefined;
  /** The lease that finds out whether the pool works again. */
  probe: { readonly agent: AgentNode; readonly token: LeaseToken } | undefined;
  readonly retries: RetryBudget;
  /** What its agents may run together, by the topology, and what they do. */
  limits: PoolLimits | undefined;
  readonly used: { steps: number; cpuMillis: number; memoryBytes: number } = { steps: 0, cpuMillis: 0, memoryBytes: 0 };
  /** Why its canary build failed, and when it was found to; undefined = none has, or it is well again. Lost with the process. */
  degraded: { readonly why: string; readonly since: TimeMs } | undefined;
  /** Since a lease ended there last, a step was turned away because of the limits, or because it is degraded. */
  turnedAway = false;

  constructor(scope: 'pool' | 'cluster', name: string, ordinal: number, budget: number) {
    this.scope = scope;
    this.name = name;
    this.timer = new Timer<TimerOwner>(this, ordinal);
    this.retries = { left: budget, at: 0 };
  }

  /** The probe, while it is under way. */
  get probing(): { readonly agent: AgentNode; readonly token: LeaseToken } | undefined {
    return this.probe?.agent.leases.has(this.probe.token) === true ? this.probe : undefined;
  }
}

export class HoldNode {
  readonly kind = 'hold';
  readonly hold: Hold;
  readonly timer: Timer<TimerOwner>;

  constructor(hold: Hold, ordinal: number) {
    this.hold = hold;
    this.timer = new Timer<TimerOwner>(this, ordinal);
  }
}

/** Steps that ask for the same: what one of them fits on, all do. */
export class RequirementClass {
  readonly kind = 'class';
  readonly key: string;
  readonly ordinal: number;
  readonly selector: Selector;
  readonly resources: Resources;
  readonly zone: Zone;
  readonly traits: readonly SandboxTrait[];
  /** Its steps also run where a pool is degraded. */
  readonly isCanary: boolean;
  /** Share of the cluster that one step takes, a whole number. */
  readonly cost: number;
  readonly timer: Timer<TimerOwner>;
  /** Groups whose agents fit when they are empty, in the order in which they appeared. */
  readonly groups = new Set<AgentGroup>();
  /** The same by their place. */
  readonly places = new Map<string, Set<AgentGroup>>();
  /** Their places by how they stand to each home ('' = none) under `tiersOf`; forgotten when either changes. */
  readonly tiers = new Map<string, readonly Tier[]>();
  tiersOf: Topology | undefined;
  readonly queue: ClassQueue;
  /** Queued steps that wait for a better agent than the free ones. */
  readonly parked = new Set<StepNode>();
  /** No available agent fits; an agent that gains room says when that changes. */
  stuck = false;
  /** It had steps since the fleet last thought of retiring it. */
  usedSinceIdle = false;
  bagAt = -1;
  /** It made room for others and learns of nothing any more. */
  retired = false;
  /** The agent that is kept free for it. */
  reserved: AgentNode | undefined;

  constructor(
    key: string,
    ordinal: number,
    needs: {
      readonly selector: Selector;
      readonly resources: Resources;
      readonly zone: Zone;
      readonly traits: readonly SandboxTrait[];
      readonly isCanary: boolean;
      readonly cost: number;
    },
    queue: ClassQueue,
  ) {
    this.key = key;
    this.ordinal = ordinal;
    this.selector = needs.selector;
    this.resources = needs.resources;
    this.zone = needs.zone;
    this.traits = needs.traits;
    this.isCanary = needs.isCanary;
    this.cost = needs.cost;
    this.queue = queue;
    this.timer = new Timer<TimerOwner>(this, ordinal);
  }

  addGroup(group: AgentGroup): void {
    this.groups.add(group);
    const there = this.places.get(group.place);
    if (there !== undefined) return void there.add(group);
    this.places.set(group.place, new Set([group]));
    this.tiers.clear();
  }

  deleteGroup(group: AgentGroup): void {
    this.groups.delete(group);
    const there = this.places.get(group.place);
    there?.delete(group);
    if (there?.size !== 0) return;
    this.places.delete(group.place);
    this.tiers.clear();
  }
}
