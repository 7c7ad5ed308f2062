import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Cuts a long row of synchronous calls into pieces, between which the process does its other work: answering heartbeats
 * and offers, for one. However many callers wait at once, only `perTurn` of them go on in one turn.
 */
export class Turns {
  readonly #perTurn: number;
  #takenCount = 0;
  #next: Promise<void> | undefined;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** Returns at once, or when it is the caller's turn. */
  async take(): Promise<void> {
    while (this.#next !== undefined) await this.#next;
    this.#takenCount += 1;
    if (this.#takenCount % this.#perTurn !== 0) return;
    this.#next = nextTurn().then(() => {
      this.#next = undefined;
    });
  }
}
