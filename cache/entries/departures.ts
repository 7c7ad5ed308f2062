import type { Clock, TimeMs } from '../../base/clock.ts';
import { partitionOf } from '../owner.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import { nameOf } from './disk.ts';

/** Why an entry is there no more. */
export type Cause = 'evicted' | 'unused' | 'purged' | 'incomplete';

export type Departure = { readonly cause: Cause; readonly at: TimeMs };

/**
 * What became of entries that are gone, as far as this process removed them: so that a miss can say why. Bounded; the oldest are
 * forgotten.
 */
export class Departures {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #max: number;
  /** By partition and file name, the oldest first. */
  readonly #gone = new Map<string, Departure>();

  constructor(clock: Pick<Clock, 'now'>, max = 50_000) {
    this.#clock = clock;
    this.#max = max;
  }

  note(at: EntryKey, cause: Cause): void {
    this.noteFile(partitionOf(at.owner), nameOf(at.kind, at.key), cause);
  }

  /** By the names that a disk store gives. */
  noteFile(partition: string, name: string, cause: Cause): void {
    const place = `${partition}/${name}`;
    this.#gone.delete(place);
    this.#gone.set(place, { cause, at: this.#clock.now() });
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= this.#max) break;
      this.#gone.delete(oldest);
    }
  }

  of(at: EntryKey): Departure | undefined {
    return this.#gone.get(`${partitionOf(at.owner)}/${nameOf(at.kind, at.key)}`);
  }
}
