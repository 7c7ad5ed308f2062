import { buildOf } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** Grants that one project may be ahead of another of the same weight while both have steps waiting. */
const AHEAD_MAX = 8;

/**
 * In a calm run, where all steps are alike: while two projects both have steps that could run, neither gets ahead of the
 * other by more than a few grants, however many steps and builds it brought.
 */
export const fairShare: CheckerFactory = ({ decided, plan, buildPlan }) => {
  /** For two projects: grants of the first less those of the second since both have waited, and its lowest and highest. */
  const ahead = new Map<string, { now: number; low: number; high: number }>();
  const waiting = () => {
    const projects = new Set<string>();
    for (const [id, record] of decided.steps) {
      if (record.state.kind === 'queued') projects.add(buildPlan(buildOf(id)).spec.project);
    }
    return projects;
  };
  let before = new Set<string>();
  const granted: string[] = [];
  return {
    invariant: 'fair-share',
    decided({ id, before: was, after }) {
      if (!plan.calm || leaseOf(after) === undefined || leaseOf(was) !== undefined) return;
      granted.push(buildPlan(buildOf(id)).spec.project);
    },
    observe(observation) {
      if (observation.kind !== 'applied' || !plan.calm) return;
      for (const project of granted) {
        for (const [pair, difference] of ahead) {
          const [left, right] = pair.split(' ');
          if (project === left) difference.now += 1;
          if (project === right) difference.now -= 1;
          difference.low = Math.min(difference.low, difference.now);
          difference.high = Math.max(difference.high, difference.now);
          if (difference.high - difference.low > AHEAD_MAX) {
            throw new Violation('fair-share', `${pair}: one got ${difference.high - difference.low} grants ahead while both waited`);
          }
        }
      }
      granted.length = 0;
      const after = waiting();
      const both = [...after].filter((project) => before.has(project)).toSorted();
      const pairs = new Set(both.flatMap((left, index) => both.slice(index + 1).map((right) => `${left} ${right}`)));
      for (const pair of ahead.keys()) if (!pairs.has(pair)) ahead.delete(pair);
      for (const pair of pairs) if (!ahead.has(pair)) ahead.set(pair, { now: 0, low: 0, high: 0 });
      before = after;
    },
  };
};
