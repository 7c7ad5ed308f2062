/** That a file was seen, with that time of its last use; the epoch is of `RemovalMarks`. */
type Seen = { readonly atMs: number; readonly epoch: number };
/** `own`: used by this process since it began, not only found on the disk. */
type Entry = { readonly sizeBytes: number; usedMs: number; readonly own: boolean; readonly seen: Seen | undefined };
/** Reserved bytes and files are about to be written. Entries are in the order of their use, the least recent first. */
type Partition = {
  readonly name: string;
  readonly entries: Map<string, Entry>;
  bytes: number;
  reservedBytes: number;
  reservedCount: number;
};
/** A place in the tree of groups, with the sums of its own partition and of all groups below it; `bytes` include reserved ones. */
type Group = { readonly children: Map<string, Group>; partition: Partition | undefined; bytes: number; fileCount: number };

export type Oldest = { readonly partition: string; readonly name: string; readonly usedMs: number };

/** What a partition holds; reserved bytes and files are counted. */
export type PartitionUsage = { readonly bytes: number; readonly fileCount: number };

/**
 * What a directory holds as far as this process knows: the order of last use, and bytes per partition. Partitions stand in a tree
 * of groups (`groupsOf`), which says who pays for whom when there is no room: see `oldest`.
 */
export class LruIndex {
  readonly #groupsOf: (partition: string) => readonly string[];
  readonly #partitions = new Map<string, Partition>();
  readonly #root: Group = newGroup();

  constructor(groupsOf: (partition: string) => readonly string[] = (partition) => [partition]) {
    this.#groupsOf = groupsOf;
  }

  /** Bytes of what is known and of what is reserved. */
  get totalBytes(): number {
    return this.#root.bytes;
  }

  /** Files that are known or reserved. */
  get totalCount(): number {
    return this.#root.fileCount;
  }

  /** Partitions that hold something or are about to. */
  partitions(): readonly string[] {
    return [...this.#partitions.keys()];
  }

  usageOf(partition: string): PartitionUsage {
    const at = this.#partitions.get(partition);
    if (at === undefined) return { bytes: 0, fileCount: 0 };
    return { bytes: at.bytes + at.reservedBytes, fileCount: at.entries.size + at.reservedCount };
  }

  has(partition: string, name: string): boolean {
    return this.#partitions.get(partition)?.entries.has(name) === true;
  }

  find(partition: string, name: string): Readonly<Entry> | undefined {
    return this.#partitions.get(partition)?.entries.get(name);
  }

  /** A file that was found here was used at that time, later than all others. */
  useAgain(partition: string, name: string, usedMs: number): void {
    const entries = this.#partitions.get(partition)?.entries;
    const entry = entries?.get(name);
    if (entries === undefined || entry === undefined) return;
    entry.usedMs = usedMs;
    entries.delete(name);
    entries.set(name, entry);
  }

  /** The file is there and was used at that time, later than all others. */
  use(partition: string, name: string, sizeBytes: number, usedMs: number, own: boolean, seen?: Seen): void {
    const at = this.#at(partition);
    const before = at.entries.get(name);
    at.entries.delete(name);
    at.entries.set(name, { sizeBytes, usedMs, own, seen });
    if (before?.sizeBytes === sizeBytes) return; // most uses: no sum changes
    at.bytes += sizeBytes - (before?.sizeBytes ?? 0);
    this.#count(partition, sizeBytes - (before?.sizeBytes ?? 0), before === undefined ? 1 : 0);
  }

  remove(partition: string, name: string): void {
    const at = this.#partitions.get(partition);
    const entry = at?.entries.get(name);
    if (at === undefined || entry === undefined) return;
    at.entries.delete(name);
    at.bytes -= entry.sizeBytes;
    this.#count(partition, -entry.sizeBytes, -1);
    this.#prune(at);
  }

  /** Counts bytes, and a file where `isNew`, that are about to be written, until disposed of. */
  reserve(partition: string, bytes: number, isNew: boolean): Disposable {
    const at = this.#at(partition);
    const take = (sign: 1 | -1) => {
      at.reservedBytes += sign * bytes;
      at.reservedCount += isNew ? sign : 0;
      this.#count(partition, sign * bytes, 0);
    };
    take(1);
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        take(-1);
        this.#prune(at);
      },
    };
  }

  /**
   * The least recently used file of whoever has most. From the top of the tree down: of the groups side by side, the one with most
   * bytes pays; and a partition with groups below it pays only where it has more than all of them together. So what is below a
   * partition, however many there are, cannot take the half of their common share from it, and no flood, announced or real, costs
   * a smaller group beside it anything. Where whoever has most has only reserved so far (it comes new), others pay as far as they have
   * more than their share of `limitBytes`: the same part for each of those side by side, half of it for a partition with groups below it.
   * Undefined where nobody has.
   */
  oldest(limitBytes: number): Oldest | undefined {
    let group = this.#root;
    for (let room = limitBytes; ;) {
      const { partition } = group;
      const own = partition === undefined ? 0 : partition.bytes + partition.reservedBytes;
      const below = group.bytes - own;
      const first = partition === undefined ? undefined : oldestOf(partition);
      if (own > below && (first !== undefined || below <= room / 2)) return first;
      const share = (room - Math.min(own, room / 2)) / Math.max(1, group.children.size);
      const payer = payerOf(group.children.values(), share);
      if (payer === undefined) return own > room / 2 ? first : undefined;
      group = payer;
      room = share;
    }
  }

  /** The least recently used file of a partition. */
  oldestIn(partition: string): Oldest | undefined {
    const at = this.#partitions.get(partition);
    return at === undefined ? undefined : oldestOf(at);
  }

  /** What a partition has that was last used before that time, as far as this process knows. */
  unusedIn(partition: string, sinceMs: number): readonly Oldest[] {
    const entries = [...(this.#partitions.get(partition)?.entries ?? [])];
    return entries.filter(([, { usedMs }]) => usedMs < sinceMs).map(([name, { usedMs }]) => ({ partition, name, usedMs }));
  }

  /** Takes over what the disk has, oldest use first. What this process used since it was opened stays newest, in its order. */
  learn(
    found: readonly { readonly partition: string; readonly name: string; readonly sizeBytes: number; readonly usedMs: number }[],
  ): void {
    const own = [...this.#partitions].map(([partition, { entries }]) => [partition, [...entries]] as const);
    const onDisk = new Map(found.map((file) => [`${file.partition}/${file.name}`, file]));
    for (const [partition, entries] of own) for (const [name] of entries) this.remove(partition, name);
    for (const { partition, name, sizeBytes, usedMs } of found) this.use(partition, name, sizeBytes, usedMs, false);
    for (const [partition, entries] of own) {
      for (const [name, entry] of entries) {
        const file = onDisk.get(`${partition}/${name}`);
        // What the disk no longer had may have been written while it was listed: evicting it finds out.
        if (entry.own) this.use(partition, name, file?.sizeBytes ?? entry.sizeBytes, Math.max(entry.usedMs, file?.usedMs ?? 0), true);
      }
    }
  }

  #at(partition: string): Partition {
    const known = this.#partitions.get(partition);
    if (known !== undefined) return known;
    const made: Partition = { name: partition, entries: new Map(), bytes: 0, reservedBytes: 0, reservedCount: 0 };
    this.#partitions.set(partition, made);
    let group = this.#root;
    for (const name of this.#groupsOf(partition)) {
      const child = group.children.get(name) ?? newGroup();
      group.children.set(name, child);
      group = child;
    }
    group.partition = made;
    return made;
  }

  #count(partition: string, bytes: number, fileCount: number): void {
    let group: Group | undefined = this.#root;
    for (const name of [undefined, ...this.#groupsOf(partition)]) {
      if (name !== undefined) group = group?.children.get(name);
      if (group === undefined) return;
      group.bytes += bytes;
      group.fileCount += fileCount;
    }
  }

  /** Forgets a partition that holds nothing, and the groups that have no other. */
  #prune(at: Partition): void {
    if (at.entries.size > 0 || at.reservedBytes > 0 || at.reservedCount > 0 || this.#partitions.get(at.name) !== at) return;
    this.#partitions.delete(at.name);
    const names = this.#groupsOf(at.name);
    const path = [this.#root];
    for (const name of names) {
      const child = path.at(-1)?.children.get(name);
      if (child !== undefined) path.push(child);
    }
    const last = path.at(-1);
    if (last !== undefined) last.partition = undefined;
    for (let depth = names.length; depth > 0; depth -= 1) {
      const group = path[depth];
      if (group === undefined || group.partition !== undefined || group.children.size > 0) return;
      path[depth - 1]?.children.delete(names[depth - 1] ?? '');
    }
  }
}

function newGroup(): Group {
  return { children: new Map(), partition: undefined, bytes: 0, fileCount: 0 };
}

/** The group that has most; where that has nothing to lose, the largest that has, and has more than its share. */
function payerOf(groups: Iterable<Group>, share: number): Group | undefined {
  let [largest, filled]: (Group | undefined)[] = [];
  for (const group of groups) {
    if (largest === undefined || group.bytes > largest.bytes) largest = group;
    if (group.fileCount > 0 && (filled === undefined || group.bytes > filled.bytes)) filled = group;
  }
  const isFirst = filled !== undefined && filled.bytes === largest?.bytes;
  return filled !== undefined && (isFirst || filled.bytes > share) ? filled : undefined;
}

function oldestOf({ name: partition, entries }: Partition): Oldest | undefined {
  const first = entries.entries().next().value;
  return first === undefined ? undefined : { partition, name: first[0], usedMs: first[1].usedMs };
}
