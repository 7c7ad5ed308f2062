import { present } from '../../../base/assert.ts';
import type { AgentId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** What an agent's leases ask for together never exceeds what it has, as it truly is; nor do offers exceed its credits. */
export const capacity: CheckerFactory = ({ decided, plan, stepPlan }) => {
  /** By session: the credits that arrived last and the ones before, which may still be on their way out of the books. */
  const credits = new Map<string, readonly number[]>();
  const agents = new Map(plan.agents.map((agent) => [agent.id, agent]));
  return {
    invariant: 'capacity',
    arrived(event) {
      if (event.kind === 'agent-registered') credits.set(event.facts.agent, [event.credits]);
      if (event.kind !== 'heartbeat-received') return;
      const agent = event.session.slice(0, event.session.lastIndexOf('#'));
      credits.set(agent, [...(credits.get(agent) ?? []).slice(-2), event.credits]);
    },
    observe(observation) {
      if (observation.kind !== 'applied') return;
      const used = new Map<AgentId, Record<string, number>>();
      const offers = new Map<AgentId, number>();
      for (const { id, lease, record } of decided.leases()) {
        const { resources } = stepPlan(id).spec;
        const sum = used.get(lease.agent) ?? {};
        const add = (name: string, amount: number) => (sum[name] = (sum[name] ?? 0) + amount);
        for (const name of ['cpuMillis', 'memoryBytes', 'slots'] as const) add(name, resources[name]);
        for (const [name, count] of Object.entries(resources.custom)) add(`custom ${name}`, count);
        used.set(lease.agent, sum);
        if (record.state.kind === 'offered') offers.set(lease.agent, (offers.get(lease.agent) ?? 0) + 1);
      }
      for (const [id, sum] of used) {
        const { capacity: has } = present(agents.get(id), 'leases are given to agents of the plan');
        const limits: Readonly<Record<string, number>> = { cpuMillis: has.cpuMillis, memoryBytes: has.memoryBytes, slots: has.slots };
        for (const [name, amount] of Object.entries(sum)) {
          const limit = limits[name] ?? has.custom[name.slice('custom '.length)] ?? 0;
          if (amount > limit) throw new Violation('capacity', `${id} has ${limit} of ${name}, and leases for ${amount}`);
        }
      }
      for (const [id, count] of offers) {
        const granted = Math.max(...(credits.get(id) ?? [0]));
        if (count > granted) throw new Violation('capacity', `${id} has ${count} open offers, and gave ${granted} credits`);
      }
    },
  };
};
