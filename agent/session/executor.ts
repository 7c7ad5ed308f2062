import type { FailureClass } from '../../base/failure.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import type { Offer } from './message.ts';

/** What the coordinator set for this session and an attempt must know. */
export type AttemptTerms = { readonly logBytesMax: number };

/** Where an attempt tells of itself; may be called before `begin` has returned. */
export type AttemptListener = {
  /** It is ready and waits for `run`. */
  readonly prepared: () => void;
  readonly running: () => void;
  /** The command has ended and its outputs are being stored. */
  readonly exited: () => void;
  /** The spool now has so many bytes of its log. */
  readonly logged: (size: number) => void;
  /** Nothing of it runs any more. The last call, made exactly once, whatever happened. */
  readonly finished: (report: AttemptReport) => void;
};

export interface Attempt {
  /**
   * Lets the command start once everything is ready. Its processes are killed at monotonic time `deadline`, by a process that does
   * not stand still with this one; undefined = never.
   */
  run(deadline?: number): void;
  /** Puts the deadline of a run that has one off. */
  extend(deadline: number): void;
  /** Ends it early, whatever it is doing; the first call counts. */
  cancel(cause: { readonly class: FailureClass; readonly message: string; readonly graceMs: number }): void;
}

/** What carries attempts out: the real runner, or one that only pretends to, for measuring. */
export interface Executor {
  begin(offer: Offer, terms: AttemptTerms, listener: AttemptListener): Attempt;
}
