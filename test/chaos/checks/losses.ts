import { FAILURE_CLASSES, type FailureClass } from '../../../base/failure.ts';
import type { AttemptView } from '../../../cli/build-view.ts';
import type { FaultRecord } from '../fault.ts';
import type { ObservedBuild, Violation } from '../observation.ts';

export type LossesOptions = {
  readonly faults: readonly FaultRecord[];
  /** How long after a fault was healed its consequences may still come: a lease, its freeze at a takeover, and reconnecting. */
  readonly aftermathMs: number;
};

/**
 * No attempt is lost, and so none is run again, unless a fault took its agent away while it ran. The death of a coordinator,
 * its data plane or Redis is no excuse for a lost agent.
 */
export function checkLosses({ id, snapshot }: ObservedBuild, options: LossesOptions): readonly Violation[] {
  return (snapshot?.steps ?? []).flatMap((step) =>
    step.attempts.flatMap((attempt): Violation[] => {
      const lost = classOf(attempt);
      if (lost === undefined || excused(attempt, lost, options)) return [];
      const what = `attempt ${attempt.number} on ${attempt.agent} ended with "${attempt.endedWhy}", and no fault explains it`;
      return [{ invariant: 'losses', where: `${id}/${step.name}`, what }];
    }),
  );
}

/** The class of an attempt that ended by an error; undefined for the step's own ends. */
export function classOf({ endedWhy }: Pick<AttemptView, 'endedWhy'>): FailureClass | undefined {
  if (endedWhy === '' || endedWhy === 'succeeded') return undefined;
  if (endedWhy === 'ended without a report') return 'agent-lost';
  const word = endedWhy.split(':')[0] ?? '';
  const known = Object.entries(FAILURE_CLASSES).find(([name]) => name === word);
  if (known === undefined) return 'agent-lost';
  return known[1] === 'failure' ? undefined : (known[0] as FailureClass); // a key of the table
}

function excused(attempt: AttemptView, lost: FailureClass, { faults, aftermathMs }: LossesOptions): boolean {
  const endedAtMs = attempt.endedAtMs ?? Number.POSITIVE_INFINITY;
  return faults.some(({ fromMs, toMs, blame }) => {
    const hit = blame.agents === 'all' || blame.agents.includes(attempt.agent);
    if (!hit || !blame.classes.includes(lost)) return false;
    return fromMs <= endedAtMs && attempt.acceptedAtMs <= (toMs ?? Number.POSITIVE_INFINITY) + aftermathMs;
  });
}
