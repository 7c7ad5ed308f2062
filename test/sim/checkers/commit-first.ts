import type { LeaseToken } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** No offer leaves a coordinator before its lease is durable, and no registration is answered before its session is. */
export const commitFirst: CheckerFactory = () => {
  const leases = new Set<LeaseToken>();
  const sessions = new Set<string>();
  return {
    invariant: 'commit-first',
    observe(observation) {
      if (observation.kind === 'durable') {
        for (const record of observation.records) {
          if (record.kind === 'session') sessions.add(record.session.session);
          const lease = record.kind === 'step' ? leaseOf(record.step) : undefined;
          if (lease !== undefined) leases.add(lease.token);
        }
      }
      if (observation.kind !== 'sent' || observation.send.kind !== 'tell-agent') return;
      const { session, message } = observation.send;
      if (message.kind === 'offer' && !leases.has(message.token))
        throw new Violation('commit-first', `${message.step} was offered before its lease ${message.token} was durable`);
      if (message.kind === 'registered' && !sessions.has(session))
        throw new Violation('commit-first', `${session} was answered before it was durable`);
    },
  };
};
