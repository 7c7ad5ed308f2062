import type { Registered } from './message.ts';

/** Where a session stands with its coordinator. All times are monotonic. */
export type Connection =
  | { readonly kind: 'waiting'; readonly dialAt: number }
  | { readonly kind: 'dialling'; readonly since: number }
  | { readonly kind: 'registering'; readonly since: number; readonly credits: number }
  | {
      readonly kind: 'online';
      readonly since: number;
      readonly terms: Registered;
      heartbeatAt: number;
      /** When each unanswered heartbeat was sent, oldest first: the time from which its answer renews. Each has one answer. */
      unanswered: number[];
      /** When the newest answer came. */
      heardAt: number;
      /** Offers that the coordinator may still send by what it was told last. */
      granted: number;
    };

export type Online = Extract<Connection, { kind: 'online' }>;

/**
 * When a stream whose heartbeats go unanswered is given up: the link may be open at our end only. Sooner where another coordinator
 * may lead by now: leases that it takes over last until one that was silent would have been given more patience.
 */
export function silentAt(online: Online, hasOthers: boolean): number {
  const oldest = online.unanswered[0];
  const patienceMs = (hasOthers ? 1 : 2) * online.terms.heartbeatMs;
  return oldest === undefined ? Number.POSITIVE_INFINITY : Math.max(oldest, online.heardAt) + patienceMs;
}
