import type { TimeMs } from '../../base/clock.ts';
import type { Offer } from '../../agent/session/message.ts';
import type { Event } from '../../coordinator/core/event.ts';
import type { AgentId, BuildId, LeaseToken, StepId } from '../../coordinator/core/ids.ts';
import type { Outbound, Outcome } from '../../coordinator/core/outcome.ts';
import type { Term } from '../../coordinator/ledger/ledger.ts';
import type { Image, StepChange } from './image.ts';
import type { AgentPlan, Plan } from './plan.ts';
import type { StoreDeed } from './store.ts';
import type { BuildPlan, StepPlan } from './workload.ts';
import type { World } from './world.ts';

/** A coordinator's time as the leader, as checkers see it. */
export type Lead = {
  readonly term: Term;
  /** What this leader has decided, durable or not, worked out from records alone. */
  readonly decided: Image;
  readonly recoveredAt: TimeMs;
};

/** What checkers are told, in the order in which it happens. */
export type Observation =
  /** An event came to a leader; its core has not decided yet. */
  | { readonly kind: 'arrived'; readonly event: Event; readonly at: TimeMs; readonly lead: Lead }
  /** A core decided. `event` is what came to the coordinator; undefined for what recovery decided. */
  | {
      readonly kind: 'applied';
      readonly event: Event | undefined;
      readonly outcome: Outcome;
      readonly at: TimeMs;
      readonly lead: Lead;
    }
  /** What the ledger did; of the records only those of state. */
  | StoreDeed
  /** The ledger forgot the newest of what it had; the durable image went back with it. `term` may commit now. */
  | { readonly kind: 'lost'; readonly term: Term | undefined; readonly builds: ReadonlySet<BuildId> }
  /** It left the coordinator. */
  | { readonly kind: 'sent'; readonly send: Outbound; readonly lead: Lead }
  /** A leader has recovered; what an earlier one decided and did not make durable never was. */
  | { readonly kind: 'recovered'; readonly lead: Lead }
  /** A client was told that its build is accepted. */
  | { readonly kind: 'accepted'; readonly id: BuildId }
  /** A client was told that the build that it had is not there. */
  | { readonly kind: 'reported-lost'; readonly id: BuildId }
  /** A client was told that its build has ended. */
  | { readonly kind: 'heard-end'; readonly id: BuildId }
  /** An agent started an attempt's command. */
  | { readonly kind: 'ran'; readonly agent: AgentPlan; readonly offer: Offer };

/** What checkers may look at. */
export type Picture = {
  readonly world: World;
  readonly plan: Plan;
  /** What the ledger has, worked out from records alone. */
  readonly durable: Image;
  /** Whether the agent has the lease's attempt or its result, and the lease goes on by all that the agent was told. */
  readonly holds: (agent: AgentId, token: LeaseToken) => boolean;
  /** Steps that ran and succeeded, are to have an entry in the action cache, and have none. */
  readonly missingEntries: () => readonly StepId[];
  readonly stepPlan: (step: StepId) => StepPlan;
  readonly buildPlan: (build: BuildId) => BuildPlan;
};

/** Watches over one invariant. Its methods throw a Violation. Each is called after the images have taken the change. */
export interface Checker {
  readonly invariant: string;
  observe?(observation: Observation): void;
  /** An event came to a leader; its core has not decided yet. */
  arrived?(event: Event, at: TimeMs, lead: Lead): void;
  /** A step record that a core decided; `event` as in the observation that it belongs to, which comes after. */
  decided?(change: StepChange, event: Event | undefined, at: TimeMs, lead: Lead): void;
  /** A step record that became durable. */
  durable?(change: StepChange): void;
  /** The faults have stopped long ago. */
  finish?(): void;
}

export type CheckerFactory = (picture: Picture) => Checker;
