import { present } from '../../../base/assert.ts';
import { atLeast, type Zone } from '../../../base/zone.ts';
import type { AgentId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** No step runs in a zone below its own, and zones share an agent only where its sandbox isolates the host. */
export const zone: CheckerFactory = ({ plan, stepPlan }) => {
  const agents = new Map(plan.agents.map((agent) => [agent.id, agent]));
  return {
    invariant: 'zone',
    observe(observation) {
      if (observation.kind !== 'applied') return;
      const zones = new Map<AgentId, Zone>();
      for (const { id, lease } of observation.lead.decided.leases()) {
        const agent = present(agents.get(lease.agent), 'leases are given to agents of the plan');
        const wanted = stepPlan(id).spec.zone;
        if (!atLeast(agent.zone, wanted)) throw new Violation('zone', `${id} is for ${wanted} and went to ${agent.id} in ${agent.zone}`);
        const other = zones.get(agent.id) ?? wanted;
        if (other !== wanted && !agent.sandbox.includes('isolatesHost')) {
          throw new Violation('zone', `${agent.id} runs steps of ${other} and ${wanted} at once and does not isolate the host`);
        }
        zones.set(agent.id, wanted);
      }
    },
  };
};
