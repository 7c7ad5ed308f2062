import type { TimeMs } from '../../base/clock.ts';
import { Heap } from './heap.ts';

/** One wait for time; it belongs to what `owner` says and is in the heap while it is set. */
export class Timer<Owner> {
  heapAt = -1;
  at: TimeMs = 0;
  /** Ties are broken by it, so that two runs ring in the same order. */
  readonly ordinal: number;
  readonly owner: Owner;

  constructor(owner: Owner, ordinal: number) {
    this.owner = owner;
    this.ordinal = ordinal;
  }
}

/** All waits for time, earliest first; exact, so that an idle core asks for no wake-up. */
export class Timers<Owner> {
  readonly #heap = new Heap<Timer<Owner>>((left, right) => left.at < right.at || (left.at === right.at && left.ordinal < right.ordinal));

  /** Sets the timer; undefined stops it. */
  set(timer: Timer<Owner>, at: TimeMs | undefined): void {
    if (at === undefined) return this.#heap.remove(timer);
    if (timer.heapAt < 0) {
      timer.at = at;
      this.#heap.push(timer);
    } else if (timer.at !== at) {
      timer.at = at;
      this.#heap.update(timer);
    }
  }

  /** When the first one rings. */
  next(): TimeMs | undefined {
    return this.#heap.peek()?.at;
  }

  /** Takes out the first one that is due. */
  due(now: TimeMs): Owner | undefined {
    const timer = this.#heap.peek();
    if (timer === undefined || timer.at > now) return undefined;
    this.#heap.remove(timer);
    return timer.owner;
  }
}
