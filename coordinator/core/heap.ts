/** What an item of a heap carries so that it can be found in it; -1 = in none. An item is in one heap at a time. */
export type InHeap = { heapAt: number };

/** Room for so many items is kept while the heap is empty. */
const KEPT = 1_024;

/**
 * A binary heap whose items know their place, so that any of them can be removed or moved in O(log n). It counts its items
 * itself: an engine's list gives its memory back when the last item leaves, and most heaps here fill and empty all the time.
 */
export class Heap<T extends InHeap> {
  readonly #before: (left: T, right: T) => boolean;
  #items: (T | undefined)[] = [];
  #size = 0;

  /** `before` is a strict order; items that it does not tell apart come out in no particular, but repeatable, order. */
  constructor(before: (left: T, right: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#size;
  }

  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#items[0];
  }

  /** All items, the first one first, the others in no useful order. */
  items(): readonly T[] {
    return this.#items.slice(0, this.#size).filter((item) => item !== undefined);
  }

  push(item: T): void {
    item.heapAt = this.#size;
    this.#items[this.#size] = item;
    this.#size += 1;
    this.#up(item);
  }

  /** Takes the item out; nothing happens where it is in no heap. */
  remove(item: T): void {
    const at = item.heapAt;
    if (at < 0) return;
    item.heapAt = -1;
    this.#size -= 1;
    const last = this.#items[this.#size];
    this.#items[this.#size] = undefined;
    if (this.#size === 0 && this.#items.length > KEPT) this.#items = [];
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
    const size = this.#size;
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
