import type { Clock, TimeMs } from '../../base/clock.ts';
import type { Ledger } from '../ledger/ledger.ts';

export type SteadyClockOptions = {
  readonly ledger: Pick<Ledger, 'now'>;
  /** Only its monotonic time is used. */
  readonly clock: Clock;
  /** The newest time in the ledger's records. */
  readonly earliestMs: TimeMs;
  readonly signal: AbortSignal;
};

/**
 * The ledger's time as it is now, carried on by the monotonic clock: what the hosts of coordinators think the time is plays
 * no part, and setting a clock expires no lease and starts no wait again. It is behind the ledger's by as long as the answer
 * took to come, never ahead: a lease may end late and not early. It starts at `earliestMs` where the ledger's clock has been
 * set back to before that.
 * @throws {Fault} LEDGER_UNAVAILABLE; why the signal aborted
 */
export async function steadyClock({ ledger, clock, earliestMs, signal }: SteadyClockOptions): Promise<Clock> {
  const ledgerMs = await ledger.now(signal);
  const originMs = Math.max(ledgerMs, earliestMs) - clock.monotonic();
  return { now: () => Math.floor(originMs + clock.monotonic()), monotonic: () => clock.monotonic() };
}
