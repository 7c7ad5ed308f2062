import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** Commits, wake-ups and clocks of whole milliseconds. */
const SLACK_MS = 3_000;

/**
 * A lease is over when its agent has not been heard of for the time that it was granted, however the coordinator's own life
 * went: a restart lengthens it by one such time at most. An offer that nobody accepts comes back.
 */
export const expiry: CheckerFactory = ({ plan }) => {
  const heardAt = new Map<string, number>();
  const { leaseTtlMs, offerTtlMs } = plan.timings;
  // A leader that stood still for less than its term finds every lease overdue, and forgives them all.
  const slackMs = SLACK_MS + (plan.faults.coordinatorStallMs === undefined ? 0 : leaseTtlMs + plan.termTtlMs);
  let now = 0;
  return {
    invariant: 'expiry',
    arrived(event, at) {
      now = at;
      if (event.kind === 'offer-accepted' || event.kind === 'attempt-started') heardAt.set(event.token, at);
      if (event.kind === 'heartbeat-received') for (const token of event.tokens) heardAt.set(token, at);
      if (event.kind === 'agent-registered') for (const { token } of event.held) heardAt.set(token, at);
    },
    observe(observation) {
      if (observation.kind !== 'applied') return;
      const { decided, recoveredAt } = observation.lead;
      now = observation.at;
      for (const { id, lease, record } of decided.leases()) {
        const heard = Math.max(lease.grantedAt, heardAt.get(lease.token) ?? 0);
        const limit = Math.max(heard + 2 * leaseTtlMs, recoveredAt + leaseTtlMs) + slackMs;
        // Within one life of the coordinator, the time that was granted is the limit.
        const strict = heard > recoveredAt ? heard + leaseTtlMs + slackMs : limit;
        if (now > strict) {
          throw new Violation(
            'expiry',
            `${id} is still leased to ${lease.agent}, ${now - heard} ms after it was last heard of (ttl ${leaseTtlMs})`,
          );
        }
        const offered = record.state.kind === 'offered' ? Math.max(lease.grantedAt, recoveredAt) : now;
        if (now > offered + Math.max(offerTtlMs, recoveredAt > lease.grantedAt ? leaseTtlMs : 0) + slackMs) {
          throw new Violation('expiry', `the offer of ${id} to ${lease.agent} has been open for ${now - lease.grantedAt} ms`);
        }
      }
    },
  };
};
