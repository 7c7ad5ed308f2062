import { present } from '../../../base/assert.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** A step is leased only to agents that have the labels and sandbox guarantees that its author asked for. */
export const selector: CheckerFactory = ({ plan, stepPlan }) => {
  const agents = new Map(plan.agents.map((agent) => [agent.id, agent]));
  return {
    invariant: 'selector',
    decided({ id, after }) {
      const lease = leaseOf(after);
      if (lease === undefined) return;
      const agent = present(agents.get(lease.agent), 'leases are given to agents of the plan');
      const { wants, spec } = stepPlan(id);
      if (!wants(agent.labels))
        throw new Violation('selector', `${id} wants "${spec.selector}" and went to ${agent.id} ${JSON.stringify(agent.labels)}`);
      const missing = spec.sandbox.filter((trait) => !agent.sandbox.includes(trait));
      if (missing.length > 0) throw new Violation('selector', `${id} needs ${missing.join(', ')} and went to ${agent.id}`);
    },
  };
};
