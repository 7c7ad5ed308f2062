/** Bytes by key, at most so many in all; what was used least goes first. */
export class BytesLru {
  readonly #limitBytes: number;
  /** Least recently used first. */
  readonly #kept = new Map<string, Uint8Array>();
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get(key: string): Uint8Array | undefined {
    const bytes = this.#kept.get(key);
    if (bytes !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, bytes);
    }
    return bytes;
  }

  /** Keeps them, unless they alone are more than half of the limit. They must not be a view of a larger buffer. */
  add(key: string, bytes: Uint8Array): void {
    this.remove(key);
    if (bytes.byteLength > this.#limitBytes / 2) return;
    this.#kept.set(key, bytes);
    this.#usedBytes += bytes.byteLength;
    for (const oldest of this.#kept.keys()) {
      if (this.#usedBytes <= this.#limitBytes) break;
      this.remove(oldest);
    }
  }

  remove(key: string): void {
    const bytes = this.#kept.get(key);
    if (bytes === undefined) return;
    this.#kept.delete(key);
    this.#usedBytes -= bytes.byteLength;
  }
}
