import type { Executor } from './session/executor.ts';
import type { LeaseWord } from './session/message.ts';
import type { Dialler } from './session/stream.ts';

/**
 * The newest grant of each attempt, as offers and renewals bring them. In this process' memory only: they are written nowhere, and
 * no step gets to see one.
 */
export interface AttemptGrants {
  /** Hears of grants before the session does. */
  dialler(next: Dialler): Dialler;
  /** Knows which attempts there are. */
  executor(next: Executor): Executor;
  /** Undefined where the coordinator gives none: then its data plane asks for none. */
  of(token: string): string | undefined;
}

export function openGrants(): AttemptGrants {
  /** Of every attempt under way. */
  const grants = new Map<string, string | undefined>();
  const renew = (leases: readonly LeaseWord[]): void => {
    for (const { token, grant } of leases) if (grant !== undefined && grants.has(token)) grants.set(token, grant);
  };
  return {
    dialler: (next) => ({
      addresses: next.addresses,
      open: (address, listener) =>
        next.open(address, {
          message(message) {
            if (message.kind === 'heartbeat-reply') renew(message.leases);
            else if (message.kind === 'registered') renew(message.held);
            listener.message(message);
          },
          broken: (code, reason) => listener.broken(code, reason),
        }),
    }),
    executor: (next) => ({
      begin(offer, terms, listener) {
        grants.set(offer.token, offer.grant);
        return next.begin(offer, terms, {
          ...listener,
          finished(report) {
            grants.delete(offer.token);
            listener.finished(report);
          },
        });
      },
    }),
    of: (token) => grants.get(token),
  };
}
