/** What an item of a bag carries so that it can be found in it; -1 = in none. An item is in one bag at a time. */
export type InBag = { bagAt: number };

/** A set in no useful, but repeatable, order: to add and to remove costs a few instructions. */
export class Bag<T extends InBag> {
  // Counted here for the reason that `Heap` gives.
  readonly #items: (T | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The item at a place from 0 to below `size`. */
  at(place: number): T | undefined {
    return this.#items[place];
  }

  has(item: T): boolean {
    return item.bagAt >= 0 && this.#items[item.bagAt] === item;
  }

  add(item: T): void {
    if (item.bagAt >= 0) return;
    item.bagAt = this.#size;
    this.#items[this.#size] = item;
    this.#size += 1;
  }

  /** Takes the item out, and puts the last one in its place; nothing happens where it is not in. */
  delete(item: T): void {
    const at = item.bagAt;
    if (at < 0) return;
    item.bagAt = -1;
    this.#size -= 1;
    const last = this.#items[this.#size];
    this.#items[this.#size] = undefined;
    if (last === undefined || last === item) return;
    this.#items[at] = last;
    last.bagAt = at;
  }
}
