import { prngFrom } from '../../../base/prng.ts';
import type { MemoryIndex } from '../../../cache/store-index/memory-index.ts';
import { collecting, drop, keep, repeat, restore, save, type Seat } from './actors.ts';
import type { Violation } from './checker.ts';
import { AS_IT_IS, type Mutation } from './mutations.ts';
import { ENTRY_RETENTION_MS, SIM_SETTINGS } from './settings.ts';
import type { Actor } from './turns.ts';
import { World, type Swarm } from './world.ts';

export type GcRunOptions = { readonly seed: number; readonly hours?: number; readonly mutation?: Mutation };

export type GcReport = {
  readonly seed: number;
  readonly turns: number;
  readonly checks: number;
  readonly events: ReadonlyMap<string, number>;
  readonly failure: Violation | Error | undefined;
  /** What happened last. */
  readonly lines: readonly string[];
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const signal = new AbortController().signal;

type Role = { readonly name: string; readonly pauseMs: number; readonly work: (seat: Seat) => () => Promise<void> };

const SAVER: Role = { name: 'saver', pauseMs: 20 * MINUTE, work: (seat) => () => save(seat) };
const RESTORER: Role = { name: 'restorer', pauseMs: 15 * MINUTE, work: (seat) => () => restore(seat) };
const DROPPER: Role = { name: 'dropper', pauseMs: 2 * HOUR, work: (seat) => () => drop(seat) };
const KEEPER: Role = { name: 'keeper', pauseMs: 5 * MINUTE, work: (seat) => () => keep(seat) };
const COLLECTOR: Role = { name: 'collector', pauseMs: 20 * MINUTE, work: collecting };
/** Those who work when nothing happens any more. */
const QUIET: readonly Role[] = [
  { ...KEEPER, pauseMs: HOUR },
  { ...COLLECTOR, pauseMs: 5 * HOUR },
];

/** One run from a seed: some days of savers, restorers and collectors under faults, then quiet days, then the accounts. */
export async function simulateGc({ seed, hours = 24, mutation = AS_IT_IS }: GcRunOptions): Promise<GcReport> {
  const prng = prngFrom(seed);
  const world = new World(prng, mutation.swarm(swarmOf(prng)));
  const run = new Run(world, mutation);
  try {
    await run.all(hours * HOUR);
  } catch (error) {
    run.errors.push(error instanceof Error ? error : new Error(String(error)));
  }
  const failure = world.checker.failure ?? run.errors[0];
  return { seed, turns: world.turns.taken, checks: world.checker.checks, events: world.events, failure, lines: world.lines };
}

/** Each kind of trouble is off in some runs and heavy in others. */
function swarmOf({ next, below }: ReturnType<typeof prngFrom>): Swarm {
  const some = (heavy: number) => (below(3) === 0 ? 0 : heavy * next());
  return { failovers: some(0.4), crashes: some(0.01), faults: some(0.03), jumps: some(1), stalls: some(0.02), splits: some(1) };
}

class Run {
  readonly world: World;
  readonly mutation: Mutation;
  readonly errors: Error[] = [];
  #people: { readonly role: Role; readonly actor: Actor; readonly isCutOff: boolean }[] = [];

  constructor(world: World, mutation: Mutation) {
    this.world = world;
    this.mutation = mutation;
  }

  async all(troubledMs: number): Promise<void> {
    for (const role of [SAVER, SAVER, SAVER, RESTORER, RESTORER, DROPPER, KEEPER, KEEPER, COLLECTOR, COLLECTOR, COLLECTOR])
      this.#seat(role);
    const { world } = this;
    while (world.turns.nowMs < troubledMs && !this.#isOver()) {
      await world.turns.run(world.turns.nowMs + 10 * MINUTE, () => this.#isOver());
      this.#trouble();
    }
    if (this.#isOver()) return;
    // The faults end; who works goes on for a while, so that everything is found again. Then nobody wants anything any more.
    world.faultsOn = false;
    this.#replace([SAVER, RESTORER, KEEPER, COLLECTOR]);
    await world.turns.run(world.turns.nowMs + 8 * HOUR, () => this.#isOver());
    await this.#checkFound();
    this.#replace(QUIET);
    await world.turns.run(world.turns.nowMs + ENTRY_RETENTION_MS + SIM_SETTINGS.rememberMs + 5 * 24 * HOUR, () => this.#isOver());
    await this.#checkCollected();
  }

  #isOver(): boolean {
    return this.errors.length > 0 || this.world.checker.failure !== undefined;
  }

  #seat(role: Role, at?: () => MemoryIndex): void {
    const { world, mutation } = this;
    const actor: Actor = { name: `${role.name}-${this.#people.length}`, crashed: false };
    const index = world.indexFor(actor, at);
    const own = role === SAVER ? mutation.savers(index) : role.work === KEEPER.work ? mutation.keepers(index) : index;
    const seat = { world, actor, objects: world.objects(actor), index: own, mutation };
    this.#people.push({ role, actor, isCutOff: at !== undefined });
    repeat(seat, role.pauseMs, role.work(seat)).catch((error: unknown) => {
      this.errors.push(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** Between two stretches: crashed ones are started anew, the index may fail over, clocks may jump. */
  #trouble(): void {
    const { world } = this;
    const { failovers, jumps, splits } = world.swarm;
    const crashed = this.#people.filter(({ actor }) => actor.crashed);
    this.#people = this.#people.filter(({ actor }) => !actor.crashed);
    for (const { role, isCutOff } of crashed) if (!isCutOff) this.#seat(role);
    if (world.chance(jumps * 0.1)) world.jump();
    if (!world.chance(failovers * 0.1)) return;
    const before = world.index;
    world.failOver();
    if (!world.chance(splits)) return;
    // A collector that is cut off with the server of before, which goes on as if it were the right one.
    world.count('collector cut off');
    this.#seat(COLLECTOR, () => before);
  }

  /** Everybody stops, and others begin. */
  #replace(roles: readonly Role[]): void {
    for (const { actor } of this.#people) actor.crashed = true;
    this.#people = [];
    for (const role of roles) this.#seat(role);
  }

  async #checkFound(): Promise<void> {
    const { index, checker, turns } = this.world;
    if (this.#isOver()) return;
    const { complete } = await index.epoch(signal);
    if (!complete) return checker.fail('found', 'the index did not become complete');
    for (const [name, kept] of checker.owed(turns.nowMs)) {
      const row = await index.entry('action', 'apple', ['main'], name, signal);
      if (row === undefined)
        checker.fail('found', `nothing is found under ${name}, of which ${kept.map(({ object }) => object).join(', ')} is kept`);
      else if (!row.packs.every((pack) => checker.hasPack(pack))) checker.fail('found', `${row.object} is found, and its packs are gone`);
    }
    const rows = await index.entries({}, undefined, 1_000, signal);
    checker.hasDropped(rows.map(({ object }) => object));
  }

  async #checkCollected(): Promise<void> {
    const { checker, turns } = this.world;
    if (this.#isOver()) return;
    for (const prefix of ['p/', 'e/', 'c/']) {
      const left = checker.keys(prefix);
      if (left.length > 0)
        checker.fail('collected', `${left.length} objects such as ${left[0]} are left after ${Math.round(turns.nowMs / HOUR)} hours`);
    }
  }
}
