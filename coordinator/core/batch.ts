/** Room for so many items is kept. */
const KEPT = 1_024;
const NOTHING: readonly never[] = [];

/**
 * A list that is filled and handed out over and over. It keeps its memory between two fillings, and hands out lists that
 * are just as long as they need to be: lists that grow from nothing were a third of the garbage of a turn.
 */
export class Batch<T> {
  #items: (T | undefined)[] = [];
  #size = 0;
  #dropped = 0;

  /** Where the next item goes. */
  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    this.#items[this.#size] = item;
    this.#size += 1;
  }

  /** Leaves out an item that was added, by its place. */
  drop(place: number): void {
    this.#items[place] = undefined;
    this.#dropped += 1;
  }

  /** All items in their order; the batch is empty afterwards. */
  take(): readonly T[] {
    const size = this.#size;
    if (size === 0) return NOTHING;
    const taken = this.#dropped === 0 ? this.#whole(size) : this.#items.slice(0, size).filter((item) => item !== undefined);
    this.#size = 0;
    this.#dropped = 0;
    if (size > KEPT) this.#items = [];
    return taken;
  }

  #whole(size: number): readonly T[] {
    return this.#items.slice(0, size) as T[]; // nothing was dropped, so that no place below `size` is empty
  }
}
