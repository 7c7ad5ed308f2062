import type { FaultCode } from '../../base/fault.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Digest } from '../../cache/digest.ts';
import type { BuildId, LeaseToken, SessionId, StepId } from './ids.ts';
import type { DependencySave } from './dependency.ts';
import type { LedgerRecord } from './record.ts';
import type { StepResult } from '../../cache/action/result.ts';

/** What the coordinator says about a lease that an agent holds. */
export type LeaseVerdict = 'continue' | 'cancel' | 'lost';

/** What became of a reported result. `accepted` also answers a repeat of the same report under the same token. */
export type ResultVerdict = 'accepted' | 'already-accepted' | 'fenced';

/** Messages to an agent's session. */
export type AgentMessage =
  | {
      readonly kind: 'registered';
      readonly epoch: number;
      readonly leaseTtlMs: number;
      readonly heartbeatMs: number;
      readonly offerTtlMs: number;
      /** For each lease that the agent brought: go on, or stop it and drop its result. */
      readonly held: readonly { readonly token: LeaseToken; readonly verdict: LeaseVerdict }[];
    }
  | { readonly kind: 'superseded' }
  /** The shell adds command, inputs and limits from the step's spec and action. */
  | { readonly kind: 'offer'; readonly token: LeaseToken; readonly step: StepId; readonly attempt: number; readonly leaseTtlMs: number }
  | { readonly kind: 'offer-withdrawn'; readonly token: LeaseToken }
  | { readonly kind: 'cancel'; readonly token: LeaseToken; readonly reason: string; readonly graceMs: number }
  | { readonly kind: 'heartbeat-reply'; readonly leases: readonly { readonly token: LeaseToken; readonly verdict: LeaseVerdict }[] }
  | { readonly kind: 'result-reply'; readonly token: LeaseToken; readonly verdict: ResultVerdict }
  | { readonly kind: 'drain'; readonly reason: string };

/** What the shell delivers once the writes of the same outcome are durable. Imperative. */
export type Outbound =
  | { readonly kind: 'tell-agent'; readonly session: SessionId; readonly message: AgentMessage }
  /** Work out the step's action from its spec and its needs' results, look it up, answer with `step-resolved`. */
  | { readonly kind: 'resolve'; readonly step: StepId }
  /**
   * Write the action-cache entry into the build's scope. Answer with `step-published` where `since` is given, and where it cannot be
   * written. `again`: an earlier leader may have written it, and an entry that has come since stays.
   */
  | {
      readonly kind: 'publish';
      readonly step: StepId;
      readonly action: Digest;
      readonly result: StepResult;
      readonly since: TimeMs | undefined;
      readonly again: boolean;
    }
  /** Write the entries of dependency caches into the build's scope, answer with `dependencies-kept`. */
  | { readonly kind: 'keep-dependencies'; readonly step: StepId; readonly saves: readonly DependencySave[] }
  /** Find out when what the step left is in the store, answer with `step-sealed`. */
  | { readonly kind: 'seal'; readonly step: StepId }
  /** The step was not run: of what it takes, something is not trusted as far as its zone asks for. To be recorded. */
  | { readonly kind: 'distrusted'; readonly step: StepId; readonly why: string }
  /** The lease is over: its log takes no more bytes. `kept` where a result refers to it. */
  | { readonly kind: 'close-log'; readonly token: LeaseToken; readonly step: StepId }
  /** Nothing refers to the build any more: drop its logs. */
  | { readonly kind: 'forget-build'; readonly id: BuildId; readonly tokens: readonly LeaseToken[] };

/** The answer to an event that somebody waits for; `undefined` for the others. */
export type Reply =
  | { readonly kind: 'build'; readonly id: BuildId; readonly existing: boolean }
  | { readonly kind: 'session'; readonly session: SessionId; readonly epoch: number }
  /** `isNew` is false where it said the same as the one that holds. */
  | { readonly kind: 'topology'; readonly revision: number; readonly isNew: boolean }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'refused';
      readonly code: FaultCode;
      readonly message: string;
      readonly field?: string;
      readonly retryAfterMs?: number;
    };

/** What the shell must do, in this order: make `writes` durable, deliver `sends` and `reply`, sleep until `wakeAt`. */
export type Outcome = {
  readonly writes: readonly LedgerRecord[];
  readonly sends: readonly Outbound[];
  readonly reply: Reply | undefined;
  /** When to send `woke`, at the latest; undefined = nothing is waiting for time. */
  readonly wakeAt: TimeMs | undefined;
};
