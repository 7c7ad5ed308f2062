import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { Leader, Ledger, Term } from '../ledger/ledger.ts';
import { sleep } from './sleep.ts';

/** Takes the lead, waiting for as long as somebody else holds it. @throws {Fault} LEDGER_UNAVAILABLE, CANCELLED */
export async function takeLead(ledger: Ledger, holder: Leader, ttlMs: number, env: Env, signal: AbortSignal): Promise<Term> {
  for (let waits = 0; ; waits += 1) {
    if (signal.aborted) throw new Fault('CANCELLED', 'Stopped while waiting for the lead');
    const term = await ledger.lead(holder, ttlMs, signal);
    if (term !== undefined) {
      env.log.info('lead-taken', { term: term.counter, incarnation: term.incarnation });
      return term;
    }
    if (waits === 0) env.log.info('waiting-for-lead', { id: holder.id });
    await sleep(ttlMs / 6, signal);
  }
}

export type LeadOptions = {
  readonly ledger: Ledger;
  readonly term: Term;
  readonly ttlMs: number;
  readonly env: Env;
  /** Called once, when the lead is lost or can no longer be known to be held. */
  readonly onLost: (fault: Fault) => void;
};

/**
 * Renews the term every third of its time, by the monotonic clock. Where the ledger does not answer it goes on trying until the
 * term's time is over; then another may lead, so this coordinator must not.
 */
export function keepLeading(options: LeadOptions): AsyncDisposable {
  const { ledger, term, ttlMs, env } = options;
  const stop = new AbortController();
  let heldUntil = env.clock.monotonic() + ttlMs;
  const renew = async (): Promise<Fault | undefined> => {
    const startedAt = env.clock.monotonic();
    try {
      await ledger.renew(term, ttlMs, stop.signal);
      heldUntil = startedAt + ttlMs;
      return undefined;
    } catch (error) {
      if (stop.signal.aborted) return undefined;
      if (isFault(error, 'LEDGER_FENCED')) return error;
      env.log.warn('term-not-renewed', { term: term.counter, error });
      const over = env.clock.monotonic() >= heldUntil;
      return over ? new Fault('LEDGER_UNAVAILABLE', 'The term could not be renewed in its time', { cause: error }) : undefined;
    }
  };
  const running = (async () => {
    for (;;) {
      await sleep(ttlMs / 3, stop.signal);
      if (stop.signal.aborted) return;
      const fault = await renew();
      if (fault !== undefined) return options.onLost(fault);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
