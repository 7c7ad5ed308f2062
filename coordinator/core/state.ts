import type { Digest } from '../../cache/digest.ts';
import type { Labels } from '../../base/labels.ts';
import type { Resources } from '../../base/resources.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { AgentId, LeaseToken, SessionId, StepId } from './ids.ts';
import type { AttemptReport, StepResult } from '../../cache/action/result.ts';
import type { DependencyKept, DependencyLookup } from './dependency.ts';
import type { FailureClass } from '../../base/failure.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Zone } from '../../base/zone.ts';
import type { Topology } from '../../topology/model.ts';

/** The exclusive, time-bound right to run one attempt of a step. */
export type Lease = {
  readonly token: LeaseToken;
  readonly agent: AgentId;
  /** 1 for the first attempt. An offer that was never accepted gives its number back. */
  readonly attempt: number;
  readonly grantedAt: TimeMs;
  readonly expiresAt: TimeMs;
};

/** What a step became once its inputs were known: a REAPI Action. */
export type ResolvedAction = {
  /** Digest of the Action: the cache key within a scope. Absent where nobody looks for it there: the step is not cacheable. */
  readonly action?: Digest;
  /** Root of the whole input tree: the step's own inputs and the outputs that it needs. */
  readonly inputRoot: Digest;
  readonly inputBytes: number;
  /** The trees that make up the input, with their sizes: what placement compares with what agents hold. */
  readonly parts: readonly { readonly root: Digest; readonly bytes: number }[];
  /** What was found of its dependency caches, in their order; absent where it has none. */
  readonly dependencies?: readonly DependencyLookup[];
};

/** How a step ended, for good. */
export type StepOutcome =
  | { readonly kind: 'succeeded'; readonly from: 'run' | 'cache' | 'merge'; readonly result: StepResult }
  /** The step's own fault: its command failed, ran too long, or did not leave what it promised. */
  | { readonly kind: 'failed'; readonly class: FailureClass; readonly message: string; readonly result: StepResult | undefined }
  /** Our fault or the world's, more often than the retry policy bears. */
  | { readonly kind: 'errored'; readonly class: FailureClass; readonly message: string }
  /** Attempts of it took down several agents; `agents` names them. */
  | { readonly kind: 'quarantined'; readonly agents: readonly AgentId[] }
  | { readonly kind: 'timed-out'; readonly bound: 'queue' | 'total' | 'build' }
  | { readonly kind: 'cancelled'; readonly by: string; readonly reason: string }
  /** Not run on purpose. `lagged` with `use: default` counts as success without outputs for those that need it. */
  | { readonly kind: 'skipped'; readonly why: 'needs' | 'fail-fast' | 'lagged'; readonly detail: string; readonly dependentsRun: boolean };

/** What went on with a step; impossible pairs cannot be written. */
export type StepState =
  /** Waits for the steps that it needs. */
  | { readonly kind: 'blocked' }
  /** Its needs have ended; its action is being worked out and looked up in the cache. */
  | { readonly kind: 'resolving' }
  /** Waits for an agent, not before `notBefore` where that is set (backoff). */
  | { readonly kind: 'queued'; readonly notBefore: TimeMs | undefined }
  /** A lease is granted and the offer on its way; no attempt is charged before the agent accepts. */
  | { readonly kind: 'offered'; readonly lease: Lease; readonly offerExpiresAt: TimeMs }
  /** An agent has accepted; `startedAt` is set once the command runs. */
  | {
      readonly kind: 'running';
      readonly lease: Lease;
      readonly startedAt: TimeMs | undefined;
      readonly cancelling: CancelCause | undefined;
    }
  /** Another step with the same action is under way and its result will be this step's too. */
  | { readonly kind: 'merged'; readonly into: StepId }
  | { readonly kind: 'ended'; readonly outcome: StepOutcome; readonly at: TimeMs };

/** Why a running attempt was told to stop, hence what the step becomes when it has stopped. */
export type CancelCause =
  | { readonly kind: 'cancelled'; readonly by: string; readonly reason: string; readonly at: TimeMs }
  | { readonly kind: 'timed-out'; readonly bound: 'total' | 'build'; readonly at: TimeMs };

/** One try as it is remembered; the newest `LIMITS.attemptsKept` are. */
export type AttemptRecord = {
  readonly attempt: number;
  readonly token: LeaseToken;
  readonly agent: AgentId;
  readonly acceptedAt: TimeMs;
  readonly endedAt: TimeMs | undefined;
  readonly report: AttemptReport | undefined;
  /** Why it ended, where no report says so: its agent was lost, left, or was told to stop. Absent in older records. */
  readonly endedWhy?: string;
};

/** All that changes about a step; the ledger keeps the newest per step. */
export type StepRecord = {
  readonly state: StepState;
  /** When its needs had ended; undefined while blocked. The bounds of queue and total time count from it. */
  readonly readyAt: TimeMs | undefined;
  readonly action: ResolvedAction | undefined;
  readonly attempts: readonly AttemptRecord[];
  /** Attempts that were accepted by an agent. */
  readonly attemptCount: number;
  /** Ends without success so far, by class: what retry limits are compared with. */
  readonly failures: Readonly<Partial<Record<FailureClass, number>>>;
  /** Agents that were lost while they ran it. */
  readonly lostAgents: readonly AgentId[];
  /** Agents to avoid on the next try where another fits. */
  readonly avoid: readonly AgentId[];
  /** `seq` of the newest of the build's events that is about this step; absent or 0 before the first. */
  readonly lastEventSeq?: number;
  /** What became of its dependency caches after the newest attempt; absent where there is nothing to say. */
  readonly kept?: readonly DependencyKept[] | undefined;
  /** The step whose end became its own, where it was merged; absent else, and in older records. */
  readonly endOf?: StepId;
  /** Set where some of what it left was on a data plane's disk only when it ended: since when, and when store and cache had it. */
  readonly unsealed?: { readonly since: TimeMs; readonly sealedAt: TimeMs | undefined } | undefined;
  /** Set where its entry in the action cache could not be written; absent else. */
  readonly unkept?: true | undefined;
  /** How far what it left may be trusted, where that is less than its own zone: by what it took, or where it ran. */
  readonly trust?: Zone | undefined;
  /** Times that it ran again because what it had left was gone; absent for 0. */
  readonly reruns?: number;
};

export type BuildOutcome = 'succeeded' | 'failed' | 'cancelled' | 'timed-out';

/** `lastEventSeq` is the `seq` of the build's newest event when this was written; absent = 1, its acceptance. */
export type BuildState =
  | {
      readonly kind: 'running';
      readonly cancelling: { readonly by: string; readonly reason: string } | undefined;
      /** When a retried step made it run again; absent = since it was accepted. Its timeout counts from here. */
      readonly since?: TimeMs;
      readonly lastEventSeq?: number;
    }
  | {
      readonly kind: 'ended';
      readonly outcome: BuildOutcome;
      readonly at: TimeMs;
      readonly degraded: readonly string[];
      readonly lastEventSeq?: number;
    };

/** An agent as it registered: facts of the host, labels of trust from its credential. */
export type AgentFacts = {
  readonly agent: AgentId;
  /** Changes when the agent's process restarts. */
  readonly bootId: string;
  readonly labels: Labels;
  readonly capacity: Resources;
  readonly sandbox: readonly SandboxTrait[];
  readonly version: string;
};

/** What the ledger keeps of an agent's newest session. */
export type SessionRecord = {
  readonly session: SessionId;
  readonly epoch: number;
  readonly facts: AgentFacts;
  readonly registeredAt: TimeMs;
};

/** What keeps work away from agents: they finish what they run, and get nothing new. */
export type Hold = {
  /** `agent:<id>`, `pool:<cluster>/<pool>` or `cluster:<name>`. */
  readonly target: string;
  readonly kind: 'pause' | 'drain';
  readonly reason: string;
  readonly by: string;
  readonly since: TimeMs;
  readonly expiresAt: TimeMs | undefined;
};

/** A topology as it was applied. The newest one holds; the others are its history. */
export type TopologyRevision = {
  /** From 1 on, one more than the newest of all before. */
  readonly revision: number;
  /** SHA-256 of the text, 64 hex digits. */
  readonly digest: string;
  /** The file, as it was written. */
  readonly text: string;
  /** What it says, as the version that took it read it. */
  readonly topology: Topology;
  readonly by: string;
  readonly at: TimeMs;
  readonly reason: string;
};
