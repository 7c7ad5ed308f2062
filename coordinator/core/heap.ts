/** What an item of a heap carries so that it can be found in it; -1 = in none. An item is in one heap at a time. */
export type InHeap = { heapAt: number };

/** A binary heap whose items know their place, so that any of them can be removed or moved in O(log n). */
export class Heap<T extends InHeap> {
  readonly #before: (left: T, right: T) => boolean;
  readonly #items: T[] = [];

  /** `before` is a strict order; items that it does not tell apart come out in no particular, but repeatable, order. */
  constructor(before: (left: T, right: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  /** All items, the first one first, the others in no useful order. */
  items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    item.heapAt = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  /** Takes the item out; nothing happens where it is in no heap. */
  remove(item: T): void {
    const at = item.heapAt;
    if (at < 0) return;
    item.heapAt = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[at] = last;
    last.heapAt = at;
    this.update(last);
  }

  /** Puts the item where it belongs after its order has changed. */
  update(item: T): void {
    const at = item.heapAt;
    this.#up(item);
    if (item.heapAt === at) this.#down(item);
  }

  #up(item: T): void {
    let at = item.heapAt;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      this.#items[at] = parent;
      parent.heapAt = at;
      at = above;
    }
    this.#items[at] = item;
    item.heapAt = at;
  }

  #down(item: T): void {
    const size = this.#items.length;
    let at = item.heapAt;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= size) break;
      let child = this.#items[below];
      const right = this.#items[below + 1];
      if (child !== undefined && right !== undefined && this.#before(right, child)) {
        child = right;
        below += 1;
      }
      if (child === undefined || !this.#before(child, item)) break;
      this.#items[at] = child;
      child.heapAt = at;
      at = below;
    }
    this.#items[at] = item;
    item.heapAt = at;
  }
}
