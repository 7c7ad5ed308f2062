import type { Clock } from '../../base/clock.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';

type Entry = { readonly at: number; readonly order: number; run: (() => void) | undefined };

/** The first instant of every simulation, as wall-clock time. */
const EPOCH_MS = 1_700_000_000_000;
const TRACE_LINES = 80;

/** The invariant that a run broke. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

/**
 * Time and chance of one simulation. Everything that happens is an entry of one queue, ordered by time and then by the
 * order of scheduling; every random number comes from a stream that is named, so that a new user of chance leaves the
 * others' numbers alone. Nothing waits for real time.
 */
export class World {
  readonly seed: number;
  readonly clock: Clock = { now: () => EPOCH_MS + this.#now, monotonic: () => this.#now };
  readonly #queue: Entry[] = [];
  readonly #trace: string[] = [];
  #now = 0;
  #order = 0;
  #promises = false;
  eventCount = 0;
  /** By kind: what went wrong because it was drawn to. */
  readonly faults = new Map<string, number>();

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** Runs `run` after `delayMs`; returns what takes it back. */
  after(delayMs: number, run: () => void): () => void {
    const entry: Entry = { at: this.#now + Math.max(0, Math.ceil(delayMs)), order: this.#order, run };
    this.#order += 1;
    push(this.#queue, entry);
    return () => {
      entry.run = undefined;
    };
  }

  /** The numbers of the stream with the name. */
  prng(name: string): Prng {
    return prngFrom(hash32(`${this.seed}/${name}`) * 0x10_0000 + (hash32(`${name}/${this.seed}`) & 0xf_ffff));
  }

  /** To be called by whoever resolves or awaits a promise: their continuations run before the next entry does. */
  promised(): void {
    this.#promises = true;
  }

  /** Counts a fault that is injected now. */
  fault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  trace(line: string): void {
    this.#trace.push(`${String(this.#now).padStart(9)} ${line.length > 400 ? `${line.slice(0, 400)}…` : line}`);
    if (this.#trace.length > 2 * TRACE_LINES) this.#trace.splice(0, this.#trace.length - TRACE_LINES);
  }

  /** The last things that happened. */
  get lastLines(): readonly string[] {
    return this.#trace.slice(-TRACE_LINES);
  }

  /** Lets time pass up to `untilMs`, or until `done` says so, or nothing is left to happen. */
  async run(untilMs: number, done: () => boolean): Promise<void> {
    let sameTime = 0;
    await settled();
    while (!done()) {
      const entry = pop(this.#queue);
      if (entry === undefined) return;
      if (entry.run === undefined) continue;
      if (entry.at > untilMs) {
        push(this.#queue, entry);
        return;
      }
      sameTime = entry.at === this.#now ? sameTime + 1 : 0;
      if (sameTime > 20_000) throw new Violation('progress', 'time stands still: something acts again and again at the same instant');
      this.#now = entry.at;
      this.eventCount += 1;
      const run = entry.run;
      entry.run = undefined;
      run();
      if (this.#promises) {
        this.#promises = false;
        await settled();
      }
    }
  }
}

/** All continuations of promises that can run have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** FNV-1a. */
export function hash32(text: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193);
  return hash >>> 0;
}

function before(left: Entry, right: Entry): boolean {
  return left.at !== right.at ? left.at < right.at : left.order < right.order;
}

function push(heap: Entry[], entry: Entry): void {
  let child = heap.length;
  heap.push(entry);
  for (;;) {
    const parent = (child - 1) >> 1;
    const above = heap[parent];
    if (child === 0 || above === undefined || !before(entry, above)) break;
    heap[child] = above;
    child = parent;
  }
  heap[child] = entry;
}

function pop(heap: Entry[]): Entry | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (last === undefined || top === last) return top;
  let parent = 0;
  for (;;) {
    const leftAt = 2 * parent + 1;
    const left = heap[leftAt];
    const right = heap[leftAt + 1];
    if (left === undefined) break;
    const [below, at] = right !== undefined && before(right, left) ? [right, leftAt + 1] : [left, leftAt];
    if (!before(below, last)) break;
    heap[parent] = below;
    parent = at;
  }
  heap[parent] = last;
  return top;
}
