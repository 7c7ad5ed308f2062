import type { Fault } from '../../base/fault.ts';
import type { Leader } from '../ledger/ledger.ts';
import type { Shell } from '../shell/shell.ts';

/**
 * What a coordinator is at the moment. `over` fires when it is that no more: what was begun under the role then ends, or goes
 * on under the next one.
 */
export type Role =
  | { readonly kind: 'leading'; readonly shell: Shell; readonly over: AbortSignal }
  /** Another one leads; undefined while nobody is known to, which includes the time in which this one takes over. */
  | { readonly kind: 'following'; readonly leader: Leader | undefined; readonly over: AbortSignal };

/** The role, for services: they ask it anew for every call. */
export interface RoleSource {
  current(): Role;
  /** The role once somebody is known to lead; as it is when `waitMs` are over or the signal aborts. */
  known(waitMs: number, signal: AbortSignal): Promise<Role>;
  /** Fires when the process stops: streams end, so that their callers go elsewhere. */
  readonly stopping: AbortSignal;
}

/** A coordinator's way between its roles, within one process. Disposal resigns. */
export interface RoleMachine extends RoleSource, AsyncDisposable {
  /** Begins; once only. `self` is what others learn of this coordinator while it leads. */
  start(self: Leader): void;
  /** When the ledger last answered, by the monotonic clock, in milliseconds. */
  readonly ledgerAnsweredAt: number;
  /** Resolves when this process cannot go on: with the fault, or undefined after disposal. */
  readonly ended: Promise<Fault | undefined>;
}
