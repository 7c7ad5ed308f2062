import type { TimeMs } from '../../base/clock.ts';
import type { Labels } from '../../base/labels.ts';
import type { Resources } from '../../base/resources.ts';
import type { AgentId, BuildId, SessionId, StepId } from './ids.ts';
import type { BuildRecord } from './record.ts';
import type { StepSpec } from './spec.ts';
import type { AgentFacts, BuildOutcome, BuildState, Hold, Lease, StepRecord } from './state.ts';

/** Read-only pictures of the core's state for the shell. They are true until the next `apply`: copy what must last. */
export type StepView = { readonly id: StepId; readonly spec: StepSpec; readonly record: StepRecord };

export type BuildView = {
  readonly record: BuildRecord;
  readonly state: BuildState;
  /** In the order of the submission. */
  readonly steps: readonly StepView[];
  readonly endedCount: number;
  /** Steps whose success came from the action cache. */
  readonly fromCacheCount: number;
  /** `seq` of its newest event. */
  readonly lastEventSeq: number;
  /** What it goes on without, or went, a sentence each. */
  readonly degraded: readonly string[];
};

/** What `Scheduler.builds` lists. Absent fields filter nothing. */
export type BuildFilter = {
  readonly project?: string;
  /** Builds with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly phase?: BuildState['kind'];
  /** Whether only actions of build tools are wanted, or only builds that are none. */
  readonly actions?: boolean;
  readonly outcome?: BuildOutcome;
  /** Only builds that were accepted before this one. */
  readonly before?: BuildId;
  /** Only builds that ended at or before this time. */
  readonly endedBy?: TimeMs;
  readonly limit: number;
};

export type AgentView = {
  readonly id: AgentId;
  /** The newest session. */
  readonly session: SessionId;
  readonly connected: boolean;
  readonly draining: boolean;
  readonly facts: AgentFacts;
  /** Its labels as the topology has them: what steps select by, and its zone. */
  readonly labels: Labels;
  /** What its leases leave; never negative. */
  readonly free: Resources;
  /** Steps that it holds leases for, offers included. */
  readonly running: readonly StepId[];
  readonly credits: number;
  readonly breaker: BreakerPicture;
  /** Why it takes nothing new for now, as it says; undefined = it does. */
  readonly cordoned: string | undefined;
  /** Why nothing new goes there; empty where work may come. */
  readonly keptFrom: readonly string[];
  /** When its newest session began. */
  readonly registeredAt: TimeMs;
};

/** A breaker of an agent or a pool. */
export type BreakerPicture = {
  readonly kind: 'closed' | 'open' | 'half-open';
  /** Errors without a success between, since when, and what the newest one said. */
  readonly errors: number;
  readonly since: TimeMs | undefined;
  readonly lastError: string | undefined;
  /** When an open one lets a step through to see. */
  readonly probeAt: TimeMs | undefined;
};

/** The agents of one pool of a cluster. */
export type PoolView = {
  /** `<cluster>/<pool>`. */
  readonly name: string;
  readonly agents: number;
  readonly connected: number;
  /** Those that may be offered steps, whether they have room or not. */
  readonly taking: number;
  /** Leases that its agents hold. */
  readonly running: number;
  /** Slots of its connected agents, and those of them that leases take. */
  readonly slots: { readonly all: number; readonly used: number };
  readonly breaker: BreakerPicture;
  /** Why its canary build failed, and when it was found to; undefined where none has, or it is well again. */
  readonly degraded: { readonly why: string; readonly since: TimeMs } | undefined;
  /** Agents that a canary build may come to, and those of them that have room for one. */
  readonly open: number;
  readonly free: number;
  /** Why it is held back or degraded; undefined while it is neither, nor its cluster held back. */
  readonly why: string | undefined;
  /** Retries after errors of its agents that would not have to wait. */
  readonly retriesLeft: number;
};

/** The agents of one cluster together. */
export type ClusterView = { readonly name: string; readonly breaker: BreakerPicture };

/** Numbers about everything, for metrics. */
export type YardCounts = {
  readonly steps: Readonly<Record<StepRecord['state']['kind'], number>>;
  readonly agents: {
    readonly connected: number;
    readonly away: number;
    readonly draining: number;
    readonly cordoned: number;
    readonly breakerOpen: number;
    readonly breakerHalfOpen: number;
  };
  /** Steps that wait for an agent, by requirement class, in no useful order. */
  readonly queues: readonly { readonly key: string; readonly size: number }[];
  readonly builds: number;
  /** Of the project that has fewest left. */
  readonly projectRetriesLeftMin: number;
};

export type LeaseView = {
  readonly step: StepId;
  readonly build: BuildId;
  readonly lease: Lease;
  readonly accepted: boolean;
  readonly cancelling: boolean;
};

export type HoldView = Hold;

/** Why a step is where it is: what ExplainStepResponse carries. */
export type Explanation = {
  readonly phase: 'blocked' | 'resolving' | 'queued' | 'running' | 'merged' | 'ended';
  /** The answer in a sentence. */
  readonly summary: string;
  /** What keeps it waiting, most important first. */
  readonly reasons: readonly string[];
  /** Steps before it in its queue, as well as can be told. */
  readonly queuePosition: number;
  /** The agents that come nearest, and what each lacks; nothing lacking = it fits and is only busy. */
  readonly nearest: readonly { readonly agent: AgentId; readonly lacks: readonly string[] }[];
  /** Why its newest lease went where it went. */
  readonly placement: readonly ScoreTerm[];
  /** Why the action cache had no answer. */
  readonly cache: readonly string[];
  /** What was found of its dependency caches and what was kept, a line for each thing. */
  readonly dependencyCaches: readonly string[];
};

export type ScoreTerm = { readonly term: string; readonly score: number; readonly why: string };
