import { present } from '../../../base/assert.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** An agent that is held gets nothing new. */
export const holds: CheckerFactory = ({ plan }) => {
  const agents = new Map(plan.agents.map((agent) => [agent.id, agent]));
  return {
    invariant: 'holds',
    decided({ id, before, after }, _event, at, { decided }) {
      const [was, lease] = [leaseOf(before), leaseOf(after)];
      if (lease === undefined || lease.token === was?.token) return;
      const { cluster, pool } = present(agents.get(lease.agent), 'leases are given to agents of the plan').labels;
      for (const target of [`agent:${lease.agent}`, `pool:${cluster}/${pool}`, `cluster:${cluster}`]) {
        const hold = decided.holds.get(target);
        if (hold === undefined || (hold.expiresAt !== undefined && hold.expiresAt <= at)) continue;
        throw new Violation('holds', `${id} went to ${lease.agent}, although ${target} is held (${hold.kind}: ${hold.reason})`);
      }
    },
  };
};
