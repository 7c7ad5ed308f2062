import type { BuildEvent, BuildSnapshot } from '../../cli/build-view.ts';
import type { Digest } from '../../cache/digest.ts';
import type { PlannedBuild } from './workload.ts';

/** What a client saw of one build, from its submission to after its end. */
export type ObservedBuild = {
  readonly planned: PlannedBuild;
  readonly id: string;
  /**
   * What the watcher was told, over all its connections and coordinators, without signs of life. A new part begins where it
   * was told that its cursor has expired and went on from a snapshot.
   */
  readonly watched: readonly (readonly BuildEvent[])[];
  /** The whole history, read again from the beginning after the end; undefined where the build is not known any more. */
  readonly history: readonly BuildEvent[] | undefined;
  /** The build after its end; undefined where it is not known any more. */
  readonly snapshot: BuildSnapshot | undefined;
  /** Digest of each log as a reader got it after the end. */
  readonly logs: ReadonlyMap<string, Digest>;
};

export const INVARIANTS = {
  kept: 'every build that was acknowledged is there and has ended, with all its steps',
  'one-result': 'every step has ended once, with one accepted result',
  bytes: 'logs and outputs are those that the commands make, byte by byte',
  ends: 'steps end as their commands do, and errors are seen only where faults excuse them',
  losses: 'no attempt is lost, and so none is run again, unless a fault took its agent away',
  fenced: 'a result is accepted under the current token, from the agent that holds it',
  alone: 'no step with side effects runs twice at the same time, or without the ledger knowing',
  watchers: 'a watcher sees each event once, in order, without a gap',
} as const;

export type Invariant = keyof typeof INVARIANTS;

/** What should never be seen. */
export type Violation = { readonly invariant: Invariant; readonly where: string; readonly what: string };
