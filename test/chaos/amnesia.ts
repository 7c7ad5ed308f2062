import type { Clock } from '../../base/clock.ts';
import { FORGETFUL, type FaultRecord } from './fault.ts';

/**
 * What the run knows of losses of the ledger's memory (`FORGETFUL` faults). Around them these invariants hold no longer: that
 * an acknowledged build stays known, that an ended one stays as it ended, that an accepted result still counts, and that a
 * step with side effects is not started beside an attempt which nobody remembers. What holds is: bytes are right, no stale
 * token is accepted, and whoever submits again under the same key has the build, which ends.
 */
export interface Amnesia {
  /** Changes with every loss that begins and with every one that is over; 0 while there was none. */
  readonly count: number;
  /** Wall-clock time after which nothing was forgotten; 0 where nothing ever was, infinite while a loss is under way. */
  readonly overMs: number;
}

export type AmnesiaOptions = {
  /** All faults of the run, in order, as they come to be. */
  readonly faults: readonly FaultRecord[];
  /** A leader notices within its term at the latest, and answers from its own memory until then. */
  readonly termTtlMs: number;
  readonly clock: Pick<Clock, 'now'>;
};

export function amnesiaOf({ faults, termTtlMs, clock }: AmnesiaOptions): Amnesia {
  const ends = () =>
    faults
      .filter(({ kind }) => FORGETFUL.has(kind))
      .map(({ toMs = Number.POSITIVE_INFINITY }) => toMs + termTtlMs)
      .map((endMs) => (endMs > clock.now() ? Number.POSITIVE_INFINITY : endMs));
  return {
    get count() {
      return ends().reduce((sum, endMs) => sum + (endMs === Number.POSITIVE_INFINITY ? 1 : 2), 0);
    },
    get overMs() {
      return Math.max(0, ...ends());
    },
  };
}
