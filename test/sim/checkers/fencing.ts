import type { StepId } from '../../../coordinator/core/ids.ts';
import type { AttemptReport } from '../../../cache/action/result.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/**
 * A result counts only if the step's own lease had the token that the agent reported it under, and came from the agent
 * that holds the lease. The holder of the current lease is never told that it is fenced, but by a leader that has not heard
 * yet that the ledger lost what it knows. No token is given to two agents, in whatever incarnation.
 */
export const fencing: CheckerFactory = ({ durable }) => {
  /** By token: the agent. A step that was merged into another may take over its lease. */
  const given = new Map<string, string>();
  /** Terms that began before the ledger lost something. */
  const before = new Set<string>();
  const begun = new Set<string>();
  const reported = new Map<string, { readonly agent: string; readonly report: AttemptReport }[]>();
  const note = (token: string, agent: string, report: AttemptReport) => {
    reported.set(token, [...(reported.get(token) ?? []), { agent, report }]);
  };
  const check = (id: StepId, lease: ReturnType<typeof leaseOf>, result: string) => {
    const reports = lease === undefined ? [] : (reported.get(lease.token) ?? []);
    const known = reports.some(({ agent, report }) => agent === lease?.agent && JSON.stringify(report.result) === result);
    if (known) return;
    throw new Violation('fencing', `${id} took a result that the holder of its lease ${lease?.token ?? '(none)'} never reported under it`);
  };
  return {
    invariant: 'fencing',
    observe(observation) {
      if (observation.kind === 'led') begun.add(observation.term.nonce);
      if (observation.kind === 'lost') for (const nonce of begun) before.add(nonce);
      if (observation.kind === 'sent') {
        const { send, lead } = observation;
        if (before.has(lead.term.nonce)) return;
        if (send.kind !== 'tell-agent' || send.message.kind !== 'result-reply' || send.message.verdict !== 'fenced') return;
        const { token } = send.message;
        for (const { id, lease } of durable.leases()) {
          if (lease.token === token)
            throw new Violation('fencing', `the holder of ${id}'s current lease ${token} was told that it is fenced`);
        }
      }
    },
    arrived(event) {
      if (event.kind === 'attempt-finished') note(event.token, event.session.slice(0, event.session.lastIndexOf('#')), event.report);
      if (event.kind !== 'agent-registered') return;
      for (const { token, phase } of event.held) if (phase.kind === 'finished') note(token, event.facts.agent, phase.report);
    },
    decided({ id, after }) {
      const lease = leaseOf(after);
      if (lease === undefined) return;
      const agent = given.get(lease.token) ?? lease.agent;
      if (agent !== lease.agent) throw new Violation('fencing', `${id} goes to ${lease.agent} under the token ${lease.token} of ${agent}`);
      given.set(lease.token, agent);
    },
    durable({ id, before: earlier, after }) {
      const { state } = after;
      if (state.kind !== 'ended' || earlier?.state.kind === 'ended') return;
      const { outcome } = state;
      if (outcome.kind === 'succeeded' && outcome.from === 'run') check(id, leaseOf(earlier), JSON.stringify(outcome.result));
      // A follower shares its primary's failure.
      if (outcome.kind === 'failed' && outcome.result !== undefined && earlier?.state.kind !== 'merged')
        check(id, leaseOf(earlier), JSON.stringify(outcome.result));
    },
  };
};
