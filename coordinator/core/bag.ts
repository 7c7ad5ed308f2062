/** What an item of a bag carries so that it can be found in it; -1 = in none. An item is in one bag at a time. */
export type InBag = { bagAt: number };

/** A set in no useful, but repeatable, order: to add and to remove costs a few instructions and no memory. */
export class Bag<T extends InBag> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  items(): readonly T[] {
    return this.#items;
  }

  add(item: T): void {
    if (item.bagAt < 0) item.bagAt = this.#items.push(item) - 1;
  }

  /** Takes the item out; nothing happens where it is not in. */
  delete(item: T): void {
    const at = item.bagAt;
    if (at < 0) return;
    item.bagAt = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[at] = last;
    last.bagAt = at;
  }
}
