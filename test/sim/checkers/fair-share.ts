import { buildOf } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf, type Image } from '../image.ts';
import { Violation } from '../world.ts';

/**
 * Grants that one project may be ahead of another while both have steps waiting, each counted for its project's weight; and
 * for each slot of a large yard, because who comes late first catches up with what the others hold.
 */
const AHEAD_MAX = { grants: 8, perSlot: 0.5 };

/**
 * In a run where all steps are alike: while two projects both have steps that could run, neither gets ahead of the other by
 * more than a few grants for its weight, however many steps and builds it brought. A new leader begins to count anew.
 */
export const fairShare: CheckerFactory = ({ plan, buildPlan }) => {
  /** For two projects: what the first got less what the second got since both have waited, and its lowest and highest. */
  const ahead = new Map<string, { now: number; low: number; high: number }>();
  const projectOf = (id: Parameters<typeof buildOf>[0]) => buildPlan(buildOf(id)).spec.project;
  const waiting = (decided: Image) => {
    const projects = new Set<string>();
    for (const [id, record] of decided.steps) if (record.state.kind === 'queued') projects.add(projectOf(id));
    return projects;
  };
  const slots = plan.agents.reduce((sum, { capacity }) => sum + capacity.slots, 0);
  const aheadMax = AHEAD_MAX.grants + (slots > 4 ? AHEAD_MAX.perSlot * slots : 0);
  let before = new Set<string>();
  let got: { readonly project: string; readonly share: number }[] = [];
  const count = (project: string, share: number) => {
    for (const [pair, difference] of ahead) {
      const [left, right] = pair.split(' ');
      if (project === left) difference.now += share;
      if (project === right) difference.now -= share;
      difference.low = Math.min(difference.low, difference.now);
      difference.high = Math.max(difference.high, difference.now);
      if (difference.high - difference.low > aheadMax) {
        throw new Violation('fair-share', `${pair}: one got ${difference.high - difference.low} grants ahead while both waited`);
      }
    }
  };
  return {
    invariant: 'fair-share',
    decided({ id, before: was, after }) {
      if (!plan.calm || (leaseOf(after) === undefined) === (leaseOf(was) === undefined)) return;
      const project = projectOf(id);
      const share = 1 / (plan.weights[project] ?? 1);
      if (leaseOf(after) !== undefined) got.push({ project, share });
      // An offer that came to nothing counts for nobody.
      else if (was?.state.kind === 'offered') got.push({ project, share: -share });
    },
    observe(observation) {
      if (!plan.calm) return;
      if (observation.kind === 'recovered') {
        ahead.clear();
        before = new Set();
      }
      if (observation.kind !== 'applied') return;
      for (const { project, share } of got) count(project, share);
      got = [];
      const after = waiting(observation.lead.decided);
      const both = [...after].filter((project) => before.has(project)).toSorted();
      const pairs = new Set(both.flatMap((left, index) => both.slice(index + 1).map((right) => `${left} ${right}`)));
      for (const pair of ahead.keys()) if (!pairs.has(pair)) ahead.delete(pair);
      for (const pair of pairs) if (!ahead.has(pair)) ahead.set(pair, { now: 0, low: 0, high: 0 });
      before = after;
    },
  };
};
