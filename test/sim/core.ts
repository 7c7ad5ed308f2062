import { weightedTopology } from '../fixtures/weighted-topology.ts';
import { LIMITS, type Timings } from '../../coordinator/core/limits.ts';
import { Scheduler } from '../../coordinator/core/scheduler.ts';
import type { SimCore } from './coordinator.ts';
import type { PeerBreaks } from './peer.ts';
import type { StoreBreaks } from './store.ts';

type SchedulerOptions = ConstructorParameters<typeof Scheduler>[0];

/** A fault made on purpose, in the core or around it: the checker of the invariant must notice it. */
export type Mutation = {
  /** The invariant that it breaks, as its checker is called. */
  readonly invariant: string;
  readonly about: string;
  readonly options?: Partial<SchedulerOptions>;
  /** The core with the fault. Checkers see what comes to `apply` and what it returns. */
  readonly wrap?: (core: SimCore) => SimCore;
  readonly store?: StoreBreaks;
  readonly peer?: PeerBreaks;
};

export type CoreOptions = {
  readonly nonce: string;
  readonly timings: Timings;
  readonly seed: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly quotas: Readonly<Record<string, number>>;
  readonly mutation: Mutation | undefined;
};

/** The scheduler as coordinators run it, or with a fault. */
export function productionCore({ nonce, timings, seed, weights, quotas, mutation }: CoreOptions): SimCore {
  const scheduler = new Scheduler({
    nonce,
    timings,
    seed,
    limits: LIMITS,
    topology: weightedTopology(weights, quotas),
    ...mutation?.options,
  });
  const core: SimCore = {
    apply: (event, now) => scheduler.apply(event, now),
    restore: (records) => scheduler.restore(records),
    newestTime: () => scheduler.newestTime(),
    resume: (now) => scheduler.resume(now),
    snapshot: () => scheduler.snapshot(),
    explain: (step, now) => scheduler.explain(step, now),
    demandOf: (shape) => scheduler.demandOf(shape),
    agents: () => scheduler.agents(),
  };
  return mutation?.wrap === undefined ? core : mutation.wrap(core);
}
