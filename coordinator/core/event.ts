import type { TimeMs } from '../../base/clock.ts';
import type { BuildId, LeaseToken, SessionId, StepId } from './ids.ts';
import type { AttemptReport, StepResult } from '../../cache/action/result.ts';
import type { DependencyResult } from './dependency.ts';
import type { BuildSpec } from './spec.ts';
import type { Topology } from '../../topology/model.ts';
import type { AgentFacts, ResolvedAction } from './state.ts';

/** A lease that an agent brings back when it connects again. */
export type HeldLease = {
  readonly token: LeaseToken;
  readonly phase:
    | { readonly kind: 'accepted' }
    | { readonly kind: 'started' }
    | { readonly kind: 'finished'; readonly report: AttemptReport };
};

/** How the shell worked out a step's action. */
export type Resolution =
  /** `cache` says, for people, why the action cache had no answer. */
  | { readonly kind: 'ready'; readonly action: ResolvedAction; readonly cache?: readonly string[] }
  | { readonly kind: 'hit'; readonly action: ResolvedAction; readonly result: StepResult }
  /** The inputs contradict each other: a failure of the step, with a message for people. */
  | { readonly kind: 'invalid'; readonly message: string }
  /**
   * The inputs have gone from the cache or are damaged there: an error, with a message for people. `producers` are the names of needed
   * steps that left what is gone, where it was such.
   */
  | { readonly kind: 'inputs-lost'; readonly message: string; readonly producers?: readonly string[] }
  /** The cache could not be asked: it is tried again later, after `retryAfterMs` where that is known. */
  | { readonly kind: 'unavailable'; readonly message: string; readonly retryAfterMs?: number };

/** Everything that happens to the core, in past tense. */
export type Event =
  | {
      readonly kind: 'build-submitted';
      readonly id: BuildId;
      readonly spec: BuildSpec;
      /** A repeat of the submission names the same one. */
      readonly idempotencyKey: string;
    }
  | { readonly kind: 'build-cancelled'; readonly id: BuildId; readonly by: string; readonly reason: string }
  | { readonly kind: 'step-cancelled'; readonly step: StepId; readonly by: string; readonly reason: string }
  /** A person wants a step that ended without success, and those skipped because of it, to run again. */
  | { readonly kind: 'step-retried'; readonly step: StepId; readonly by: string }
  | { readonly kind: 'step-resolved'; readonly step: StepId; readonly resolution: Resolution }
  /** Entries of what a step left in its dependency caches were written, or not. */
  | { readonly kind: 'dependencies-kept'; readonly step: StepId; readonly results: readonly DependencyResult[] }
  /** The store has what a step left that ended while it was staged only. */
  | { readonly kind: 'step-sealed'; readonly step: StepId }
  /** The entry of a step that was to be published is written, or never will be. `since` as it was said with `publish`. */
  | { readonly kind: 'step-published'; readonly step: StepId; readonly since: TimeMs | undefined; readonly written: boolean }
  /** A build that ended long enough ago may leave the ledger. */
  | { readonly kind: 'build-expired'; readonly id: BuildId }
  | {
      readonly kind: 'agent-registered';
      readonly facts: AgentFacts;
      /** Offers that the agent takes before it has accepted any. */
      readonly credits: number;
      readonly held: readonly HeldLease[];
      readonly draining: boolean;
    }
  | { readonly kind: 'agent-disconnected'; readonly session: SessionId }
  /** One for all of the agent's leases. `credits` replaces what was granted before, less the offers still under way. */
  | {
      readonly kind: 'heartbeat-received';
      readonly session: SessionId;
      readonly tokens: readonly LeaseToken[];
      readonly credits: number;
      /** Why the agent takes nothing new for now; absent = it takes what it has room for. */
      readonly cordoned?: string;
    }
  | { readonly kind: 'offer-accepted'; readonly session: SessionId; readonly token: LeaseToken }
  | { readonly kind: 'offer-rejected'; readonly session: SessionId; readonly token: LeaseToken; readonly reason: string }
  | { readonly kind: 'attempt-started'; readonly session: SessionId; readonly token: LeaseToken }
  | { readonly kind: 'attempt-finished'; readonly session: SessionId; readonly token: LeaseToken; readonly report: AttemptReport }
  /** The agent takes nothing new; it goes when what it runs has ended. */
  | { readonly kind: 'agent-drained'; readonly session: SessionId; readonly reason: string }
  /** The agent says goodbye: what it still held goes elsewhere at once, free of charge. */
  | { readonly kind: 'agent-left'; readonly session: SessionId }
  | {
      readonly kind: 'hold-placed';
      readonly target: string;
      readonly hold: 'pause' | 'drain';
      readonly reason: string;
      readonly by: string;
      readonly expiresAt: TimeMs | undefined;
    }
  /** The pool's newest canary build has ended: `why` it failed; undefined where it was well, or canaries are no more. */
  | { readonly kind: 'canary-judged'; readonly pool: string; readonly why: string | undefined }
  | { readonly kind: 'hold-lifted'; readonly target: string; readonly by: string }
  /** `base` is the digest of the text that it was written against; '' where nothing was applied before. */
  | {
      readonly kind: 'topology-applied';
      readonly base: string;
      readonly digest: string;
      readonly text: string;
      readonly topology: Topology;
      readonly by: string;
      readonly reason: string;
    }
  /** The time of the last outcome's `wakeAt` has come. */
  | { readonly kind: 'woke' };
