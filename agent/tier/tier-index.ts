/** Something that takes room and can be thrown away. */
type Entry = { readonly bytes: number; pinCount: number; usedAt: number };

/** Which of many things was used how recently, and how much room they take. Knows nothing of what they are. */
export class TierIndex {
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, Entry>();
  #totalBytes = 0;
  #useCount = 0;

  get totalBytes(): number {
    return this.#totalBytes;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Adds a thing as the most recently used one; one of that key that is there stays, and is used. */
  add(key: string, bytes: number): void {
    if (this.use(key)) return;
    this.#entries.set(key, { bytes, pinCount: 0, usedAt: ++this.#useCount });
    this.#totalBytes += bytes;
  }

  /** Marks it as just used; whether it is there. */
  use(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    entry.usedAt = ++this.#useCount;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return true;
  }

  /** Keeps it from being evicted until disposed of. Pins add up. */
  pin(key: string): Disposable {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.pinCount += 1;
    let pinned = entry !== undefined;
    return {
      [Symbol.dispose]() {
        if (pinned && entry !== undefined) entry.pinCount -= 1;
        pinned = false;
      },
    };
  }

  /** Higher for what was used later; 0 for what is not there. */
  rank(key: string): number {
    return this.#entries.get(key)?.usedAt ?? 0;
  }

  /** Takes a thing out that nobody has pinned, for its taker alone; whether it was there so. */
  takeOut(key: string): boolean {
    if (this.#entries.get(key)?.pinCount !== 0) return false;
    this.remove(key);
    return true;
  }

  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#totalBytes -= entry.bytes;
  }

  /** Takes out the least recently used things that are not pinned, until the rest fits into `limitBytes`; their keys. */
  evictTo(limitBytes: number): readonly string[] {
    const evicted: string[] = [];
    for (const [key, entry] of this.#entries) {
      if (this.#totalBytes <= limitBytes) break;
      if (entry.pinCount > 0) continue;
      this.remove(key);
      evicted.push(key);
    }
    return evicted;
  }
}
