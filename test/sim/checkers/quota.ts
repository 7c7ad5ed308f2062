import { buildOf } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** The leases of a project are never more than its quota, whoever leads. */
export const quota: CheckerFactory = ({ plan, buildPlan }) => ({
  invariant: 'quota',
  observe(observation) {
    if (observation.kind !== 'applied' || Object.keys(plan.quotas).length === 0) return;
    const counts = new Map<string, number>();
    for (const { id } of observation.lead.decided.leases()) {
      const { project } = buildPlan(buildOf(id)).spec;
      const count = (counts.get(project) ?? 0) + 1;
      counts.set(project, count);
      const most = plan.quotas[project] ?? plan.quotas['*'] ?? Infinity;
      if (count > most) throw new Violation('quota', `${project} may run ${most} steps, and has leases for ${count}`);
    }
  },
});
