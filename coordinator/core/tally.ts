import type { DependencyLookup, KeptOutcome } from './dependency.ts';
import { FAILURE_CLASSES, type FailureClass } from '../../base/failure.ts';

/** How attempts end: well, or by the class of their failure or error. */
export type AttemptClass = 'succeeded' | FailureClass;

export const ATTEMPT_CLASSES: readonly AttemptClass[] = [
  'succeeded',
  // Object.keys of a table whose keys are exactly these
  ...(Object.keys(FAILURE_CLASSES) as FailureClass[]),
];

/** Sums over the life of this scheduler, for metrics. They decide nothing and are lost with the process. */
export type Tally = {
  /** Attempts that ended, by how. */
  readonly attempts: Record<AttemptClass, number>;
  /** Leases that ran out without a word of their agent. */
  leasesExpired: number;
  /** Results that were refused because their lease was over, and repeats of accepted ones. */
  resultsFenced: number;
  resultsRepeated: number;
  /** Offers that came back: turned down, not taken in time, or their agent left. */
  offersReturned: number;
  /** Tries after the first, and those of them that had to wait for a retry budget. */
  retries: number;
  retriesHeldBack: number;
  /** Steps ended because their attempts took several agents down. */
  quarantined: number;
  /** Times that a pool became degraded because its canary build failed. */
  poolsDegraded: number;
  /** Openings of breakers. */
  agentBreakersOpened: number;
  poolBreakersOpened: number;
  clusterBreakersOpened: number;
  /** Times that a step's action could not be worked out because the cache could not be asked. */
  cacheUnavailable: number;
  /** Steps that ended while what they left was staged only; and runs of steps because what they left was gone. */
  unsealed: number;
  reruns: number;
  /** Entries of dependency caches by what writing them came to. */
  readonly dependencySaves: Record<KeptOutcome, number>;
  /** Lookups of dependency caches by what they came to. */
  readonly dependencyLookups: Record<DependencyLookup['found']['kind'], number>;
};

export function newTally(): Tally {
  return {
    // One entry per class, from the list of all classes.
    attempts: Object.fromEntries(ATTEMPT_CLASSES.map((cls) => [cls, 0])) as Record<AttemptClass, number>,
    leasesExpired: 0,
    resultsFenced: 0,
    resultsRepeated: 0,
    offersReturned: 0,
    retries: 0,
    retriesHeldBack: 0,
    quarantined: 0,
    poolsDegraded: 0,
    agentBreakersOpened: 0,
    poolBreakersOpened: 0,
    clusterBreakersOpened: 0,
    cacheUnavailable: 0,
    unsealed: 0,
    reruns: 0,
    dependencySaves: { kept: 0, same: 0, differs: 0, dropped: 0 },
    dependencyLookups: { exact: 0, fallback: 0, nothing: 0, unknown: 0, unwanted: 0 },
  };
}
