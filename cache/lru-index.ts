/** `own`: used by this process since it began, not only found on the disk. */
type Entry = { readonly sizeBytes: number; readonly usedMs: number; readonly own: boolean };
type Partition = { readonly entries: Map<string, Entry>; bytes: number };

export type Oldest = { readonly partition: string; readonly name: string; readonly usedMs: number };

/** What a directory holds as far as this process knows: the order of last use, and bytes per partition. */
export class LruIndex {
  readonly #partitions = new Map<string, Partition>();
  /** Bytes that are about to be written, by partition. */
  readonly #reserved = new Map<string, number>();
  #bytes = 0;
  #reservedBytes = 0;

  /** Bytes of what is known and of what is reserved. */
  get totalBytes(): number {
    return this.#bytes + this.#reservedBytes;
  }

  /** The file is there and was used at that time, later than all others. */
  use(partition: string, name: string, sizeBytes: number, usedMs: number, own: boolean): void {
    this.remove(partition, name);
    let at = this.#partitions.get(partition);
    if (at === undefined) this.#partitions.set(partition, (at = { entries: new Map(), bytes: 0 }));
    at.entries.set(name, { sizeBytes, usedMs, own });
    at.bytes += sizeBytes;
    this.#bytes += sizeBytes;
  }

  remove(partition: string, name: string): void {
    const at = this.#partitions.get(partition);
    const entry = at?.entries.get(name);
    if (at === undefined || entry === undefined) return;
    at.entries.delete(name);
    at.bytes -= entry.sizeBytes;
    this.#bytes -= entry.sizeBytes;
    if (at.entries.size === 0) this.#partitions.delete(partition);
  }

  /** Counts bytes that are about to be written, until disposed of. */
  reserve(partition: string, bytes: number): Disposable {
    this.#count(partition, bytes);
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (open) this.#count(partition, -bytes);
        open = false;
      },
    };
  }

  #count(partition: string, bytes: number): void {
    const reserved = (this.#reserved.get(partition) ?? 0) + bytes;
    this.#reservedBytes += bytes;
    if (reserved === 0) this.#reserved.delete(partition);
    else this.#reserved.set(partition, reserved);
  }

  /**
   * The least recently used file of the partition that has most bytes, reserved ones included: so one partition's flood,
   * announced or real, costs the others nothing. Undefined where that partition has no files yet.
   */
  oldest(): Oldest | undefined {
    const sizeOf = (partition: string) => (this.#partitions.get(partition)?.bytes ?? 0) + (this.#reserved.get(partition) ?? 0);
    let largest: string | undefined;
    for (const partition of [...this.#partitions.keys(), ...this.#reserved.keys()]) {
      if (largest === undefined || sizeOf(partition) > sizeOf(largest)) largest = partition;
    }
    const first = largest === undefined ? undefined : this.#partitions.get(largest)?.entries.entries().next().value;
    return largest === undefined || first === undefined ? undefined : { partition: largest, name: first[0], usedMs: first[1].usedMs };
  }

  /** Takes over what the disk has, oldest use first. What this process used since it was opened stays newest, in its order. */
  learn(
    found: readonly { readonly partition: string; readonly name: string; readonly sizeBytes: number; readonly usedMs: number }[],
  ): void {
    const own = [...this.#partitions].map(([partition, { entries }]) => [partition, [...entries]] as const);
    const onDisk = new Map(found.map((file) => [`${file.partition}/${file.name}`, file]));
    this.#partitions.clear();
    this.#bytes = 0;
    for (const { partition, name, sizeBytes, usedMs } of found) this.use(partition, name, sizeBytes, usedMs, false);
    for (const [partition, entries] of own) {
      for (const [name, entry] of entries) {
        const file = onDisk.get(`${partition}/${name}`);
        // What the disk no longer had may have been written while it was listed: evicting it finds out.
        if (entry.own) this.use(partition, name, file?.sizeBytes ?? entry.sizeBytes, Math.max(entry.usedMs, file?.usedMs ?? 0), true);
      }
    }
  }
}
