import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { Ledger, Term } from '../ledger/ledger.ts';
import { afterRealTime, sleep, type After } from './sleep.ts';

/**
 * The lead as this process knows it. What is done under it is checked with `holds` right before, so that a process that was
 * stopped for longer than its term does nothing any more once it goes on, whatever it had begun.
 */
export interface Lead extends AsyncDisposable {
  readonly term: Term;
  /** Whether nobody else can lead at this moment, by the monotonic clock. False for good once it was false. */
  holds(): boolean;
  /** Ends the lead, for whoever finds out in another way that it is over. Nothing is told to the ledger. */
  giveUp(fault: Fault): void;
  /** Fires, with the fault as its reason, when the lead is over; not by disposal. */
  readonly lost: AbortSignal;
  /** When the ledger last confirmed the term, by the monotonic clock, in milliseconds. */
  readonly confirmedAt: number;
}

export type LeadOptions = {
  readonly ledger: Ledger;
  readonly term: Term;
  readonly ttlMs: number;
  /** Whether a coordinator in another process can take the lead, once the term's time is over. */
  readonly contested: boolean;
  /** When the call that brought the term was sent, by the monotonic clock: the ledger may count from then. */
  readonly sentAt: number;
  readonly env: Env;
  /** @default the host's timers */
  readonly after?: After;
};

/** Part of the term's time that is not used: clocks of two hosts differ in speed, and what was begun must have left. */
const MARGIN = 1 / 5;

/**
 * Renews the term every third of its time. Its end is counted from when the newest renewal that was answered had been sent,
 * less a margin; at that end the lead is over, whether or not the ledger can be reached.
 *
 * Where nobody else can take the lead, only the ledger itself can end it: by a refusal, or by not answering for the term's whole
 * time.
 */
export function keepLeading(options: LeadOptions): Lead {
  return new KeptLead(options);
}

class KeptLead implements Lead {
  readonly term: Term;
  confirmedAt: number;
  readonly #options: LeadOptions;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #after: After;
  readonly #running: Promise<void>;
  #sentAt: number;

  constructor(options: LeadOptions) {
    this.#options = options;
    this.#after = options.after ?? afterRealTime;
    this.term = options.term;
    this.#sentAt = options.sentAt;
    this.confirmedAt = options.env.clock.monotonic();
    this.#running = this.#keep();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  holds(): boolean {
    if (this.#lost.signal.aborted) return false;
    const { contested, ttlMs, env } = this.#options;
    if (!contested || env.clock.monotonic() < this.#sentAt + ttlMs * (1 - MARGIN)) return true;
    this.giveUp(new Fault('LEDGER_UNAVAILABLE', `The term of ${ttlMs} ms ran out before it was renewed`));
    return false;
  }

  giveUp(fault: Fault): void {
    this.#lost.abort(fault);
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #keep(): Promise<void> {
    const { ttlMs, env } = this.#options;
    while (!this.#stop.signal.aborted) {
      const sinceMs = env.clock.monotonic() - this.#sentAt;
      await sleep(Math.max(ttlMs / 30, ttlMs / 3 - sinceMs), this.#stop.signal, this.#after);
      if (!this.#stop.signal.aborted && this.holds()) await this.#renew();
    }
  }

  /** One try; it is given up when the term's time is over, so that a ledger that hangs does not hide that. */
  async #renew(): Promise<void> {
    const { ledger, contested, term, ttlMs, env } = this.#options;
    const sentAt = env.clock.monotonic();
    const over = new AbortController();
    // A term that only the ledger can end is as good after a pause of this process as before it.
    const countedFrom = contested ? this.#sentAt : sentAt;
    const cancel = this.#after(Math.max(0, countedFrom + ttlMs - sentAt), () => over.abort());
    try {
      await ledger.renew(term, ttlMs, AbortSignal.any([this.#stop.signal, over.signal]));
      this.#sentAt = sentAt;
      this.confirmedAt = env.clock.monotonic();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (isFault(error, 'LEDGER_FENCED')) return this.giveUp(error);
      env.log.warn('term-not-renewed', { term: term.counter, error });
      if (env.clock.monotonic() < this.#sentAt + ttlMs) return void this.holds();
      this.giveUp(new Fault('LEDGER_UNAVAILABLE', 'The term could not be renewed in its time', { cause: error }));
    } finally {
      cancel();
    }
  }
}
