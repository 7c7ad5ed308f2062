import type { LeaseToken, StepId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import type { Lease } from '../../../coordinator/core/state.ts';
import { Violation } from '../world.ts';

type Held = { readonly lease: Lease; readonly overdueAt: number };

/**
 * No step gets another lease while an agent still has the attempt, or its result, of the last one, and that one has not run
 * out by the agent's own reckoning: takeovers re-run nothing that goes on. Excepted are offers that no leader heard an
 * acceptance of, attempts whose end was reported to this very leader, runs that last longer than the step may, and leases
 * from before the ledger lost something.
 */
export const takeover: CheckerFactory = ({ durable, holds, stepPlan, world }) => {
  /** By step: the last lease of which its acceptance became durable. */
  const accepted = new Map<StepId, Held>();
  /** Which leaders heard of an attempt's end: by term's nonce and token, and by token alone. */
  const reported = new Set<string>();
  const reportedAtAll = new Set<LeaseToken>();
  const report = (nonce: string, token: LeaseToken) => {
    reported.add(`${nonce} ${token}`);
    reportedAtAll.add(token);
  };
  const excepted = new Set<LeaseToken>();
  return {
    invariant: 'takeover',
    arrived(event, _at, { term }) {
      if (event.kind === 'attempt-finished') report(term.nonce, event.token);
      if (event.kind !== 'agent-registered') return;
      for (const { token, phase } of event.held) if (phase.kind === 'finished') report(term.nonce, token);
    },
    observe(observation) {
      if (observation.kind !== 'lost') return;
      for (const { lease } of accepted.values()) excepted.add(lease.token);
      for (const { lease } of durable.leases()) excepted.add(lease.token);
    },
    durable({ id, before, after }) {
      const { state } = after;
      const was = leaseOf(before);
      // The end that some leader heard of is durable.
      if (was !== undefined && leaseOf(after)?.token !== was.token && reportedAtAll.has(was.token)) accepted.delete(id);
      if (state.kind !== 'running') return;
      const { runTimeoutMs } = stepPlan(id).spec;
      const overdueAt = state.startedAt === undefined ? Number.POSITIVE_INFINITY : state.startedAt + runTimeoutMs;
      accepted.set(id, { lease: state.lease, overdueAt });
    },
    decided({ id, before, after }, _event, at, { term }) {
      const [was, is] = [leaseOf(before), leaseOf(after)];
      const last = accepted.get(id);
      if (is === undefined || is.token === was?.token || last === undefined || is.token === last.lease.token) return;
      const { token, agent } = last.lease;
      if (excepted.has(token) || at >= last.overdueAt || reported.has(`${term.nonce} ${token}`) || !holds(agent, token)) return;
      throw new Violation(
        'takeover',
        `${id} goes to ${is.agent} at ${world.now}, while ${agent} still has it under ${token}, granted at ${last.lease.grantedAt}`,
      );
    },
  };
};
