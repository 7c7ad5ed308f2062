import PQueue from 'p-queue';
import { isPassing } from './tries.ts';

/**
 * Runs requests, as many at once as the endpoint takes well: one more after each round of successes while others wait, half as many when it
 * refuses (additive increase, multiplicative decrease).
 */
export class AdaptiveQueue {
  readonly #queue: PQueue;
  readonly #min: number;
  readonly #max: number;
  #succeeded = 0;
  /** Requests begun before the last decrease say nothing of what came after it. */
  #round = 0;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    this.#queue = new PQueue({ concurrency: min });
  }

  /** How many run at once at most, at the moment. */
  get width(): number {
    return this.#queue.concurrency;
  }

  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#queue.add(
      async () => {
        const round = this.#round;
        const crowded = this.#queue.size > 0;
        try {
          const result = await work();
          this.#success(crowded);
          return result;
        } catch (error) {
          if (isPassing(error) && round === this.#round) this.#refused();
          throw error;
        }
      },
      { signal },
    );
  }

  #success(crowded: boolean): void {
    this.#succeeded += 1;
    if (!crowded || this.#succeeded < this.#queue.concurrency) return;
    this.#succeeded = 0;
    this.#queue.concurrency = Math.min(this.#max, this.#queue.concurrency + 1);
  }

  #refused(): void {
    this.#round += 1;
    this.#succeeded = 0;
    this.#queue.concurrency = Math.max(this.#min, Math.floor(this.#queue.concurrency / 2));
  }
}
