import { present } from '../../../base/assert.ts';
import type { AgentId, LeaseToken } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** What an agent's leases ask for together never exceeds what it has, as it truly is; nor do offers exceed its credits. */
export const capacity: CheckerFactory = ({ plan, stepPlan }) => {
  /** By term and agent. */
  const credits = new Map<string, number>();
  const offered = new Set<LeaseToken>();
  /** Who got an offer since the last look. */
  const offeredTo = new Set<AgentId>();
  const agents = new Map(plan.agents.map((agent) => [agent.id, agent]));
  return {
    invariant: 'capacity',
    arrived(event, _at, { term }) {
      if (event.kind === 'agent-registered') credits.set(`${term.nonce} ${event.facts.agent}`, event.credits);
      if (event.kind !== 'heartbeat-received') return;
      credits.set(`${term.nonce} ${event.session.slice(0, event.session.lastIndexOf('#'))}`, event.credits);
    },
    decided({ before, after }) {
      const lease = leaseOf(after);
      if (after.state.kind !== 'offered' || lease === undefined || leaseOf(before)?.token === lease.token) return;
      // A step that takes over the offer of the one that it was merged into gets no new one.
      if (!offered.has(lease.token)) offeredTo.add(lease.agent);
      offered.add(lease.token);
    },
    observe(observation) {
      if (observation.kind !== 'applied') return;
      const { decided, term } = observation.lead;
      // Credits count the offers that are under way. They may go down while offers are; a new offer must fit into them.
      for (const agent of offeredTo) {
        const open = [...decided.leases()].filter(({ lease, record }) => record.state.kind === 'offered' && lease.agent === agent).length;
        const granted = credits.get(`${term.nonce} ${agent}`) ?? 0;
        if (open > granted)
          throw new Violation('capacity', `${agent} gave ${granted} credits, was offered another step, and has ${open} open offers`);
      }
      offeredTo.clear();
      const used = new Map<AgentId, Record<string, number>>();
      for (const { id, lease } of decided.leases()) {
        const { resources } = stepPlan(id).spec;
        const sum = used.get(lease.agent) ?? {};
        const add = (name: string, amount: number) => (sum[name] = (sum[name] ?? 0) + amount);
        for (const name of ['cpuMillis', 'memoryBytes', 'slots'] as const) add(name, resources[name]);
        for (const [name, count] of Object.entries(resources.custom)) add(`custom ${name}`, count);
        used.set(lease.agent, sum);
      }
      for (const [id, sum] of used) {
        const { capacity: has } = present(agents.get(id), 'leases are given to agents of the plan');
        const limits: Readonly<Record<string, number>> = { cpuMillis: has.cpuMillis, memoryBytes: has.memoryBytes, slots: has.slots };
        for (const [name, amount] of Object.entries(sum)) {
          const limit = limits[name] ?? has.custom[name.slice('custom '.length)] ?? 0;
          if (amount > limit) throw new Violation('capacity', `${id} has ${limit} of ${name}, and leases for ${amount}`);
        }
      }
    },
  };
};
