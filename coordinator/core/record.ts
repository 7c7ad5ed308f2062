import type { TimeMs } from '../../base/clock.ts';
import type { AgentId, BuildId, StepId } from './ids.ts';
import type { BuildSpec, StepSpec } from './spec.ts';
import type { BuildOutcome, BuildState, Hold, SessionRecord, StepOutcome, StepRecord, TopologyRevision } from './state.ts';

/** A build without its steps, as it was accepted. */
export type BuildRecord = {
  readonly id: BuildId;
  readonly spec: Omit<BuildSpec, 'steps'>;
  readonly stepNames: readonly string[];
  readonly acceptedAt: TimeMs;
  readonly idempotencyKey: string;
};

/** What a watcher of a build is told. `seq` counts from 1 within the build and has no gaps. */
export type BuildEvent = { readonly seq: number; readonly at: TimeMs } & (
  | { readonly kind: 'build-accepted' }
  | { readonly kind: 'step-ready'; readonly step: string }
  | { readonly kind: 'step-queued'; readonly step: string; readonly notBefore: TimeMs | undefined; readonly why: string }
  | { readonly kind: 'step-merged'; readonly step: string; readonly into: StepId }
  | { readonly kind: 'attempt-accepted'; readonly step: string; readonly attempt: number; readonly token: string; readonly agent: AgentId }
  | { readonly kind: 'attempt-started'; readonly step: string; readonly attempt: number; readonly agent: AgentId }
  | { readonly kind: 'attempt-ended'; readonly step: string; readonly attempt: number; readonly agent: AgentId; readonly why: string }
  | { readonly kind: 'step-ended'; readonly step: string; readonly outcome: StepOutcome }
  | { readonly kind: 'build-ended'; readonly outcome: BuildOutcome; readonly degraded: readonly string[] }
);

/**
 * What the ledger keeps. `put` kinds replace the value under their key; `event` appends. A build counts as accepted only
 * with its `build` record, which comes last of the records of a submission: step records without one are garbage.
 */
export type LedgerRecord =
  | { readonly kind: 'build'; readonly build: BuildRecord }
  | { readonly kind: 'build-state'; readonly id: BuildId; readonly state: BuildState }
  | { readonly kind: 'step-spec'; readonly id: StepId; readonly spec: StepSpec }
  | { readonly kind: 'step'; readonly id: StepId; readonly step: StepRecord }
  | { readonly kind: 'session'; readonly agent: AgentId; readonly session: SessionRecord }
  /** The agent has been away for so long that its sessions need no remembering. */
  | { readonly kind: 'agent-forgotten'; readonly agent: AgentId }
  | { readonly kind: 'hold'; readonly hold: Hold }
  | { readonly kind: 'hold-lifted'; readonly target: string }
  | { readonly kind: 'topology'; readonly revision: TopologyRevision }
  /** An old one leaves the history. */
  | { readonly kind: 'topology-forgotten'; readonly revision: number }
  | { readonly kind: 'event'; readonly build: BuildId; readonly event: BuildEvent }
  /** The build, its steps, events and logs leave the ledger. */
  | { readonly kind: 'build-forgotten'; readonly id: BuildId };
