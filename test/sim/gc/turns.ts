import type { Prng } from '../../../base/prng.ts';

/** Somebody whose steps are taken in turns; one that has crashed takes none any more. */
export type Actor = { readonly name: string; crashed: boolean };

type Waiting = { readonly actor: Actor; readonly due: number; readonly go: () => void };

/**
 * Takes the steps of many actors one at a time, in an order that the seed decides. An actor asks for its turn before each step and
 * waits until it gets it; between turns nothing happens. Time passes with the turns, and jumps where everybody sleeps.
 */
export class Turns {
  readonly #prng: Prng;
  #waiting: Waiting[] = [];
  #nowMs = 0;
  taken = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Real time since the run began, which no clock of the run shows. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Resolves when it is the actor's turn, no sooner than after `ms`; never for one that has crashed. */
  turn(actor: Actor, ms = 0): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push({ actor, due: this.#nowMs + ms, go: resolve }));
  }

  /** Gives turns until `endMs`, or until `stop` says so. */
  async run(endMs: number, stop: () => boolean): Promise<void> {
    for (;;) {
      await settled();
      if (stop()) return;
      this.#waiting = this.#waiting.filter(({ actor }) => !actor.crashed);
      const due = this.#waiting.filter((waiting) => waiting.due <= this.#nowMs);
      const [next] = due.length > 0 ? [due[this.#prng.below(due.length)]] : [soonest(this.#waiting)];
      if (next === undefined || next.due > endMs || this.#nowMs > endMs) {
        this.#nowMs = Math.max(this.#nowMs, endMs);
        return;
      }
      this.#nowMs = Math.max(this.#nowMs, next.due) + this.#prng.below(2_000);
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.taken += 1;
      next.go();
    }
  }
}

function soonest(waiting: readonly Waiting[]): Waiting | undefined {
  let first: Waiting | undefined;
  for (const one of waiting) if (first === undefined || one.due < first.due) first = one;
  return first;
}

/** Until everybody who had a turn waits for the next: nothing but promises keeps them. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
