import type { StepId } from '../../../coordinator/core/ids.ts';
import type { AttemptReport } from '../../../cache/action/result.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/**
 * A result counts only if the step's own lease had the token that the agent reported it under, and came from the agent
 * that holds the lease. The holder of the current lease is never told that it is fenced.
 */
export const fencing: CheckerFactory = ({ durable }) => {
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
      if (observation.kind === 'sent') {
        const { send } = observation;
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
    durable({ id, before, after }) {
      const { state } = after;
      if (state.kind !== 'ended' || before?.state.kind === 'ended') return;
      const { outcome } = state;
      if (outcome.kind === 'succeeded' && outcome.from === 'run') check(id, leaseOf(before), JSON.stringify(outcome.result));
      // A follower shares its primary's failure.
      if (outcome.kind === 'failed' && outcome.result !== undefined && before?.state.kind !== 'merged')
        check(id, leaseOf(before), JSON.stringify(outcome.result));
    },
  };
};
