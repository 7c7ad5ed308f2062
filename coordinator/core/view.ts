import type { TimeMs } from '../../base/clock.ts';
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
};

/** What `Scheduler.builds` lists. Absent fields filter nothing. */
export type BuildFilter = {
  readonly project?: string;
  /** Builds with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly phase?: BuildState['kind'];
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
  /** What its leases leave; never negative. */
  readonly free: Resources;
  /** Steps that it holds leases for, offers included. */
  readonly running: readonly StepId[];
  readonly credits: number;
  readonly breaker: 'closed' | 'open' | 'half-open';
  /** Why nothing new goes there; empty where work may come. */
  readonly keptFrom: readonly string[];
  /** When its newest session began. */
  readonly registeredAt: TimeMs;
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
};

export type ScoreTerm = { readonly term: string; readonly score: number; readonly why: string };
