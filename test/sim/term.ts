import { Fault, isFault } from '../../base/fault.ts';
import type { Ledger, Term } from '../../coordinator/ledger/ledger.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

export type TermKeeperOptions = {
  readonly world: World;
  readonly process: Process;
  readonly ledger: Ledger;
  readonly term: Term;
  readonly ttlMs: number;
  /** When the call began that brought the term. */
  readonly ledSince: number;
  /** Called once, when the term is over or can no longer be known to last. */
  readonly onLost: (fault: Fault) => void;
};

/** A term that is renewed for as long as it can be. */
export type TermKeeper = {
  /** Whether nobody else can lead now, by this process' own clock. */
  holds(): boolean;
  stop(): void;
};

/** Part of the term's time that is given up, for whatever the clocks are apart. */
const MARGIN = 1 / 6;

/**
 * Renews a term every third of its time and gives it up a margin before its end, both by the monotonic clock: how
 * coordinators keep terms, on the simulated process' timers.
 */
export function keepTerm({ world, process, ledger, term, ttlMs, ledSince, onLost }: TermKeeperOptions): TermKeeper {
  const { signal } = new AbortController();
  const held = ttlMs - Math.ceil(ttlMs * MARGIN);
  let heldUntil = ledSince + held;
  let over = false;
  const lose = (fault: Fault) => {
    if (over) return;
    over = true;
    onLost(fault);
  };
  const renew = () => {
    if (over) return;
    const startedAt = world.now;
    ledger.renew(term, ttlMs, signal).then(
      () => {
        heldUntil = Math.max(heldUntil, startedAt + held);
        process.after(ttlMs / 3, renew);
      },
      (error: unknown) => lose(isFault(error) ? error : new Fault('INTERNAL', 'Renewing failed', { cause: error })),
    );
  };
  const watch = () => {
    if (over) return;
    if (world.now >= heldUntil) return lose(new Fault('LEDGER_UNAVAILABLE', 'The term could not be renewed in its time'));
    process.after(heldUntil - world.now, watch);
  };
  process.after(ttlMs / 3, renew);
  watch();
  return {
    holds: () => !over && world.now < heldUntil,
    stop: () => void (over = true),
  };
}
