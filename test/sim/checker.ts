import type { TimeMs } from '../../base/clock.ts';
import type { Offer } from '../../agent/session/message.ts';
import type { Event } from '../../coordinator/core/event.ts';
import type { BuildId, StepId } from '../../coordinator/core/ids.ts';
import type { Outbound, Outcome } from '../../coordinator/core/outcome.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import type { Image, StepChange } from './image.ts';
import type { AgentPlan, Plan } from './plan.ts';
import type { BuildPlan, StepPlan } from './workload.ts';
import type { World } from './world.ts';

/** What checkers are told, in the order in which it happens. */
export type Observation =
  /** An event came to the coordinator; the core has not decided yet. */
  | { readonly kind: 'arrived'; readonly event: Event; readonly at: TimeMs }
  /** The core decided. `event` is what came to the coordinator; undefined for what recovery decided. */
  | { readonly kind: 'applied'; readonly event: Event | undefined; readonly outcome: Outcome; readonly at: TimeMs }
  /** The ledger has the records. */
  | { readonly kind: 'durable'; readonly records: readonly LedgerRecord[] }
  /** It left the coordinator. */
  | { readonly kind: 'sent'; readonly send: Outbound }
  /** A coordinator has recovered; what an earlier one decided and did not make durable never was. */
  | { readonly kind: 'recovered'; readonly at: TimeMs }
  /** A client was told that its build is accepted. */
  | { readonly kind: 'accepted'; readonly id: BuildId }
  /** An agent started an attempt's command. */
  | { readonly kind: 'ran'; readonly agent: AgentPlan; readonly offer: Offer };

/** What checkers may look at. Both images are worked out from records alone. */
export type Picture = {
  readonly world: World;
  readonly plan: Plan;
  /** What the ledger has. */
  readonly durable: Image;
  /** What the running coordinator has decided. */
  readonly decided: Image;
  readonly stepPlan: (step: StepId) => StepPlan;
  readonly buildPlan: (build: BuildId) => BuildPlan;
};

/** Watches over one invariant. Its methods throw a Violation. Each is called after the images have taken the change. */
export interface Checker {
  readonly invariant: string;
  observe?(observation: Observation): void;
  /** An event came to the coordinator; the core has not decided yet. */
  arrived?(event: Event, at: TimeMs): void;
  /** A step record that the core decided; `event` as in the observation that it belongs to, which comes after. */
  decided?(change: StepChange, event: Event | undefined, at: TimeMs): void;
  /** A step record that became durable. */
  durable?(change: StepChange): void;
  /** The faults have stopped long ago. */
  finish?(): void;
}

export type CheckerFactory = (picture: Picture) => Checker;
