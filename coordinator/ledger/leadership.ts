import type { Leader, Term } from './ledger.ts';

/**
 * Who leads, for ledgers that live in one process. Times are milliseconds of one monotonic clock, given by the caller.
 * A term stays current after its time has run out until somebody else takes the leadership: what fences is equality, the
 * time only says when another may try.
 */
export class Leadership {
  #counter: number;
  #incarnation: string;
  #current: { readonly term: Term; readonly holder: Leader; untilMs: number } | undefined;

  constructor(counter: number, incarnation: string) {
    this.#counter = counter;
    this.#incarnation = incarnation;
  }

  get counter(): number {
    return this.#counter;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /** Whether `holder` may lead from `nowMs` on: nobody does, its time is over, or the holder itself comes again. */
  isFree(holder: Leader, nowMs: number): boolean {
    return this.#current === undefined || this.#current.holder.id === holder.id || this.#current.untilMs <= nowMs;
  }

  /** Makes a new term and with it ends every earlier one. Call it only where `isFree`. */
  take(holder: Leader, ttlMs: number, nowMs: number, nonce: string): Term {
    this.#counter += 1;
    const term = { counter: this.#counter, nonce, incarnation: this.#incarnation };
    this.#current = { term, holder, untilMs: nowMs + ttlMs };
    return term;
  }

  /** Who leads; undefined once its time is over. */
  leader(nowMs: number): Leader | undefined {
    return this.#current !== undefined && nowMs < this.#current.untilMs ? this.#current.holder : undefined;
  }

  isCurrent(term: Term): boolean {
    const current = this.#current?.term;
    return (
      current !== undefined && current.counter === term.counter && current.nonce === term.nonce && current.incarnation === term.incarnation
    );
  }

  /** Whether the term was current and now lasts until `nowMs + ttlMs`. */
  renew(term: Term, ttlMs: number, nowMs: number): boolean {
    if (this.#current === undefined || !this.isCurrent(term)) return false;
    this.#current.untilMs = nowMs + ttlMs;
    return true;
  }

  resign(term: Term): void {
    if (this.isCurrent(term)) this.#current = undefined;
  }

  /** Everything before may be forgotten: no term is current, and cursors of the old incarnation have ended. */
  reincarnate(incarnation: string): void {
    this.#incarnation = incarnation;
    this.#current = undefined;
  }
}
