import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { silentLogger } from '../../../base/log.ts';
import type { Prng } from '../../../base/prng.ts';
import { memoryObjects } from '../../../cache/objects/memory.ts';
import type { ObjectStore } from '../../../cache/objects/object-store.ts';
import type { MemoryIndex } from '../../../cache/store-index/memory-index.ts';
import { memoryStoreIndex } from '../../../cache/store-index/memory.ts';
import type { StoreIndex } from '../../../cache/store-index/store-index.ts';
import { Checker } from './checker.ts';
import { ENTRY_RETENTION_MS } from './settings.ts';
import { Turns, type Actor } from './turns.ts';

/** How much of what happens in a run, from its seed: some runs have none of a kind, some much. */
export type Swarm = {
  readonly failovers: number;
  readonly crashes: number;
  readonly faults: number;
  readonly jumps: number;
  readonly stalls: number;
  readonly splits: number;
};

const START = 1_700_000_000_000;
/** Writes of the index after each of which a state is kept that a failover may fall back to. */
const SNAPSHOT_EVERY = 25;
/** States that are kept: hours of them, as with a copy of Redis' memory on disk. */
const PAST_MAX = 60;
/** Calls of the index that are worth a line. */
const CHANGES = new Set(
  'addPack prepare publish dropEntry condemn condemnRecorded deleted dropPack replayCondemned restoreEntry open complete'.split(' '),
);
/** Lines that are kept of what happened. */
const LINES = 20_000;

/** A bucket, an index with its past, clocks that disagree, and who works with them. */
export class World {
  readonly prng: Prng;
  readonly turns: Turns;
  readonly checker = new Checker(ENTRY_RETENTION_MS);
  readonly swarm: Swarm;
  readonly #bucket: ObjectStore;
  readonly #skewsMs = { index: 0, store: 0 };
  readonly #past: ReturnType<MemoryIndex['snapshot']>[] = [];
  #index: MemoryIndex;
  #epochs = 0;
  #calls = 0;
  faultsOn = true;
  readonly events = new Map<string, number>();
  readonly lines: string[] = [];

  constructor(prng: Prng, swarm: Swarm) {
    this.prng = prng;
    this.swarm = swarm;
    this.turns = new Turns(prng);
    const clockOf = (which: 'index' | 'store') => ({ now: () => START + this.turns.nowMs + this.#skewsMs[which] });
    this.#bucket = memoryObjects({ clock: { ...clockOf('store'), monotonic: () => this.turns.nowMs } });
    const newEpoch = () => (this.#epochs += 1).toString(16).padStart(32, '0');
    this.#index = memoryStoreIndex({ clock: clockOf('index'), ready: false, newEpoch });
  }

  /** The index that is the right one now. */
  get index(): MemoryIndex {
    return this.#index;
  }

  /** An environment whose wall clock is not to be believed. */
  env(): Env {
    const skewMs = this.chance(0.3) ? this.prng.below(7_200_000) - 3_600_000 : 0;
    return { log: silentLogger, clock: { now: () => START + this.turns.nowMs + skewMs, monotonic: () => this.turns.nowMs } };
  }

  chance(probability: number): boolean {
    return this.prng.next() < probability;
  }

  /** Keeps a line on what happened, for whoever looks into a failure. */
  note(actor: Actor, what: string): void {
    this.lines.push(`${String(Math.round(this.turns.nowMs / 1_000)).padStart(8)} s  ${actor.name}: ${what}`);
    if (this.lines.length > LINES) this.lines.splice(0, LINES / 2);
  }

  count(event: string): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1);
  }

  /** The index falls back to a state of before, or to nothing. What was connected to it finds the new one, unless it is cut off. */
  failOver(): void {
    this.count('failover');
    this.note({ name: 'index', crashed: false }, 'fails over');
    const back = this.#past[this.#past.length - 1 - this.prng.below(Math.min(this.chance(0.5) ? 2 : PAST_MAX, this.#past.length))];
    this.#index = this.#index.fork(this.chance(0.25) ? undefined : back);
  }

  /** A clock of somebody else is set, or was wrong before. */
  jump(): void {
    this.count('clock jump');
    const which = this.chance(0.7) ? 'index' : 'store';
    this.#skewsMs[which] = this.chance(0.3) ? 0 : this.prng.below(7_200_000) - 3_600_000;
  }

  /** The bucket as the actor sees it: each call begins and ends with a turn, and what is under way may outlive its sender. */
  objects(actor: Actor): ObjectStore {
    const { turns, checker } = this;
    const net: Actor = { name: `${actor.name}'s network`, crashed: false };
    const bucket = this.#bucket;
    const change = async (effect: () => Promise<void>) => {
      const landing = (async () => {
        await turns.turn(net, this.#delayMs());
        this.#mayFail('STORE_UNAVAILABLE');
        await effect();
      })();
      landing.catch(() => {});
      await this.begin(actor);
      await landing;
      await this.#answer(actor);
    };
    return {
      traits: bucket.traits,
      put: (key, body, options, signal) =>
        change(async () => {
          await bucket.put(key, body, options, signal);
          this.note(actor, `put ${key}`);
          if (body instanceof Uint8Array) checker.put(key, Buffer.from(body).toString());
        }),
      delete: (key, signal) =>
        change(async () => {
          await bucket.delete(key, signal);
          this.note(actor, `delete ${key}`);
          checker.deleted(key, turns.nowMs);
        }),
      get: (key, range, signal) => this.#streamed(actor, bucket.get(key, range, signal)),
      head: async (key, signal) => {
        await this.begin(actor);
        const info = await bucket.head(key, signal);
        await this.#answer(actor);
        return info;
      },
      list: (prefix, options, signal) => this.#streamed(actor, bucket.list(prefix, options, signal)),
      copy: (from, to, signal) => change(() => bucket.copy(from, to, signal)),
      abortUploads: async () => 0,
      presignGet: (key, ttlMs) => bucket.presignGet(key, ttlMs),
      presignPut: (key, content, ttlMs) => bucket.presignPut(key, content, ttlMs),
      async [Symbol.asyncDispose]() {},
    };
  }

  /** The index as the actor sees it. `at` says which one it is connected to. */
  indexFor(actor: Actor, at: () => MemoryIndex = () => this.#index): StoreIndex {
    return new Proxy(this.#index, {
      get: (_, name) => {
        if (name === 'traits') return { shared: true };
        if (typeof name !== 'string' || name === 'then') return undefined;
        return async (...args: readonly unknown[]) => {
          await this.begin(actor);
          this.#mayFail('STORE_UNAVAILABLE');
          const index = at();
          const method: unknown = Reflect.get(index, name);
          if (typeof method !== 'function') throw new Error(`the index has no ${name}`);
          const answer: unknown = await Reflect.apply(method, index, args);
          if (index === this.#index) this.#remember();
          if (CHANGES.has(name)) this.note(actor, `${name} ${JSON.stringify(args.slice(0, 2))} → ${JSON.stringify(answer)}`);
          await this.#answer(actor);
          return answer;
        };
      },
    });
  }

  /** The actor's turn; it may crash, or stand still for long, before it goes on. */
  async begin(actor: Actor): Promise<void> {
    if (this.faultsOn && this.chance(this.swarm.crashes)) {
      actor.crashed = true;
      this.count('crash');
    }
    const stalls = this.faultsOn && this.chance(this.swarm.stalls);
    if (stalls) this.count('stall');
    await this.turns.turn(actor, stalls ? this.prng.below(3 * 3_600_000) : 0);
  }

  async #answer(actor: Actor): Promise<void> {
    await this.begin(actor);
    this.#mayFail('STORE_UNAVAILABLE');
  }

  async *#streamed<T>(actor: Actor, items: AsyncIterable<T>): AsyncIterable<T> {
    await this.begin(actor);
    // One page, as it was in one moment; a turn passes before the caller has it.
    const page: T[] = [];
    for await (const item of items) page.push(item);
    await this.#answer(actor);
    yield* page;
  }

  #delayMs(): number {
    return this.faultsOn && this.chance(this.swarm.stalls * 3) ? this.prng.below(2 * 3_600_000) : 0;
  }

  #mayFail(code: 'STORE_UNAVAILABLE'): void {
    if (!this.faultsOn || !this.chance(this.swarm.faults)) return;
    this.count('fault');
    throw new Fault(code, 'as the simulation wants it');
  }

  #remember(): void {
    this.#calls += 1;
    if (this.#calls % SNAPSHOT_EVERY !== 0) return;
    this.#past.push(this.#index.snapshot());
    if (this.#past.length > PAST_MAX) this.#past.shift();
  }
}
