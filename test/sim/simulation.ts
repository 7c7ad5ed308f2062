import { present } from '../../base/assert.ts';
import type { StepId, BuildId } from '../../coordinator/core/ids.ts';
import { buildOf, nameOf, parseBuildId } from '../../coordinator/core/ids.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { SimAgent } from './agent.ts';
import type { Checker, Observation, Picture } from './checker.ts';
import { CHECKERS } from './checkers.ts';
import { checkReplay } from './checkers/replay.ts';
import { Client } from './client.ts';
import { SimCoordinator, type SimCore } from './coordinator.ts';
import { productionCore, type Mutation } from './core.ts';
import { Image } from './image.ts';
import { Network } from './network.ts';
import { drawPlan, type FaultRates } from './plan.ts';
import { Resolver } from './resolver.ts';
import { drawWorkload, type BuildPlan } from './workload.ts';
import { Violation, World } from './world.ts';

export type SimulationOptions = {
  readonly seed: number;
  /** Steps of all builds together. */
  readonly steps: number;
  /** A core that is broken on purpose. */
  readonly mutation?: Mutation;
  /** Only this invariant is watched. @default all */
  readonly only?: string;
};

/** What a run showed. */
export type Report = {
  readonly seed: number;
  /** The first invariant that did not hold, or whatever else went wrong. */
  readonly failure: unknown;
  readonly events: number;
  readonly simulatedMs: number;
  readonly builds: number;
  readonly restarts: number;
  /** Of steps that have not ended: why, by the core's own account. */
  readonly waiting: readonly string[];
  /** How often each kind of step end came. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly lastLines: readonly string[];
};

/** Longest time from the last fault to the end of everything. */
const QUIET_DOWN_MS = 4 * 3_600_000;
/** Events between looks at the whole. */
const LOOK_EVERY = 150;

/** One run, from its seed alone. Never rejects: what went wrong is in the report. */
export async function simulate(options: SimulationOptions): Promise<Report> {
  const simulation = new Simulation(options);
  try {
    await simulation.run();
  } catch (error) {
    simulation.failed(error);
  }
  return simulation.report();
}

/** What went wrong, with its place in the code. */
export function textOf(failure: unknown): string {
  return failure instanceof Error ? (failure.stack ?? failure.message) : JSON.stringify(failure);
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #world: World;
  readonly #plan;
  readonly #network: Network;
  readonly #ledger;
  readonly #durable = new Image();
  readonly #decided = new Image();
  readonly #builds: readonly BuildPlan[];
  readonly #named = new Map<BuildId, BuildPlan>();
  readonly #client: Client;
  readonly #agents: readonly SimAgent[];
  readonly #resolver: Resolver;
  readonly #checkers: readonly Checker[];
  readonly #accepted = new Set<BuildId>();
  #coordinator: SimCoordinator | undefined;
  #faulty = true;
  #restarts = 0;
  #failure: unknown;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const world = new World(options.seed);
    this.#world = world;
    this.#plan = drawPlan(world.prng('plan'), options.steps);
    this.#network = new Network(world, this.#plan.latencyMaxMs);
    const nonces = world.prng('nonces');
    const nonce = () =>
      Array.from({ length: 4 }, () =>
        nonces
          .below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      ).join('');
    this.#ledger = openMemoryLedger({ clock: world.clock, nonce });
    this.#builds = drawWorkload(this.#plan, world.prng('workload'));
    const stepPlan = (step: StepId) => present(this.#planOf(buildOf(step)).steps.get(nameOf(step)), 'a step of the workload');
    const durable = () => this.#durable;
    const down = () => (this.#faulty ? this.#plan.cacheDown : 0);
    this.#resolver = new Resolver({ prng: world.prng('resolver'), decided: () => this.#decided, stepPlan, down });
    this.#client = new Client({
      world,
      coordinator: () => this.#coordinator,
      durable,
      lost: () => (this.#faulty ? this.#plan.callLost : 0),
      accepted: (id) => this.#observe({ kind: 'accepted', id }),
      failed: (error) => this.failed(error),
      named: (id, plan) => this.#named.set(id, plan),
    });
    this.#agents = this.#plan.agents.map(
      (agent) =>
        new SimAgent(agent, world, this.#network, {
          stepPlan: (build, step) =>
            present(this.#planOf(present(parseBuildId(build), 'a build id')).steps.get(step), 'a step of the workload'),
          ran: (by, offer) => this.#observe({ kind: 'ran', agent: by, offer }),
          down: (which) => void this.#world.after(500 + this.#prng.below(20_000), () => void (which.up || which.start())),
        }),
    );
    const picture: Picture = {
      world,
      plan: this.#plan,
      durable: this.#durable,
      decided: this.#decided,
      stepPlan,
      buildPlan: (id) => this.#planOf(id),
    };
    const { only } = options;
    this.#checkers = CHECKERS.map((make) => make(picture)).filter((checker) => only === undefined || checker.invariant === only);
    this.#prng = world.prng('faults');
  }

  readonly #prng;

  async run(): Promise<void> {
    this.#startCoordinator();
    for (const agent of this.#agents) agent.start();
    for (const build of this.#builds) this.#client.submit(build);
    for (const kind of Object.keys(this.#plan.faults)) this.#scheduleFault(kind as keyof FaultRates); // the type's own keys
    await this.#pass(this.#plan.faultsEndMs, () => this.#plan.calm && this.#allEnded());
    this.#stopFaults();
    await this.#pass(this.#plan.faultsEndMs + QUIET_DOWN_MS, () => this.#allEnded());
    if (this.#failure !== undefined) return;
    for (const checker of this.#checkers) checker.finish?.();
  }

  failed(error: unknown): void {
    this.#failure ??= error;
  }

  report(): Report {
    const outcomes = new Map<string, number>();
    for (const { state } of this.#durable.steps.values()) {
      const kind =
        state.kind === 'ended'
          ? `${state.outcome.kind}${state.outcome.kind === 'succeeded' ? ` by ${state.outcome.from}` : ''}`
          : state.kind;
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    }
    const waiting: string[] = [];
    for (const [id, { state }] of this.#durable.steps) {
      if (state.kind === 'ended' || waiting.length >= 3) continue;
      waiting.push(`${id}: ${JSON.stringify(this.#coordinator?.core.explain(id, this.#world.clock.now()))}`);
    }
    const { seed } = this.#options;
    const { eventCount: events, now: simulatedMs, lastLines } = this.#world;
    return {
      seed,
      failure: this.#failure,
      events,
      simulatedMs,
      builds: this.#accepted.size,
      restarts: this.#restarts,
      waiting,
      outcomes,
      lastLines,
    };
  }

  /** Lets time pass, and looks at the whole now and then. */
  async #pass(untilMs: number, over: () => boolean): Promise<void> {
    for (let next = 0; this.#failure === undefined && this.#world.now < untilMs;) {
      next = this.#world.eventCount + LOOK_EVERY;
      const before = this.#world.eventCount;
      await this.#world.run(untilMs, () => this.#failure !== undefined || this.#world.eventCount >= next);
      if (this.#failure !== undefined) return;
      await this.#look();
      if (over() || this.#world.eventCount === before) return;
    }
  }

  async #look(): Promise<void> {
    const watched = this.#options.only ?? 'replay';
    if (this.#coordinator?.quiet !== true || watched !== 'replay') return;
    await checkReplay(this.#coordinator.core, this.#ledger, () => this.#makeCore('0'.repeat(32)));
  }

  #allEnded(): boolean {
    if (!this.#client.done || this.#coordinator?.quiet !== true) return false;
    return [...this.#accepted].every((id) => this.#durable.forgotten.has(id) || this.#durable.buildStates.get(id)?.kind === 'ended');
  }

  #planOf(id: BuildId): BuildPlan {
    return present(this.#named.get(id), 'the build was named by a client');
  }

  #makeCore(nonce: string): SimCore {
    return productionCore({ nonce, timings: this.#plan.timings, seed: this.#options.seed, mutation: this.#options.mutation });
  }

  #startCoordinator(): void {
    this.#world.promised();
    SimCoordinator.start({
      world: this.#world,
      network: this.#network,
      ledger: this.#ledger,
      plan: this.#plan,
      resolver: this.#resolver,
      makeCore: (nonce) => this.#makeCore(nonce),
      stepPlan: (step) => present(this.#planOf(buildOf(step)).steps.get(nameOf(step)), 'a step of the workload'),
      observe: (observation) => this.#observe(observation),
      faulty: () => this.#faulty,
      die: () => this.#crashCoordinator(),
      failed: (error) => this.failed(error),
    }).then(
      (coordinator) => void (this.#coordinator = coordinator),
      (error: unknown) => this.failed(error),
    );
  }

  #crashCoordinator(): void {
    if (this.#coordinator === undefined) return;
    this.#coordinator.crash();
    this.#coordinator = undefined;
    this.#restarts += 1;
    const quick = this.#prng.below(2) === 0;
    this.#world.after(quick ? this.#prng.below(500) : this.#prng.below(3 * this.#plan.timings.leaseTtlMs), () => this.#startCoordinator());
  }

  #observe(observation: Observation): void {
    try {
      this.#take(observation);
      for (const checker of this.#checkers) {
        if (observation.kind === 'arrived') checker.arrived?.(observation.event, observation.at);
        checker.observe?.(observation);
      }
    } catch (error) {
      this.failed(error);
    }
  }

  /** Brings the images up to date. */
  #take(observation: Observation): void {
    switch (observation.kind) {
      case 'applied':
        for (const record of observation.outcome.writes) {
          const change = this.#decided.apply(record);
          if (change !== undefined) for (const checker of this.#checkers) checker.decided?.(change, observation.event, observation.at);
        }
        return;
      case 'durable':
        for (const record of observation.records) {
          const change = this.#durable.apply(record);
          if (change !== undefined) for (const checker of this.#checkers) checker.durable?.(change);
        }
        return;
      case 'recovered':
        this.#durable.dropOrphans();
        this.#decided.become(this.#durable);
        return;
      case 'accepted':
        this.#accepted.add(observation.id);
        if (this.#durable.builds.has(observation.id) || this.#durable.forgotten.has(observation.id)) return;
        throw new Violation('ends', `${observation.id} was accepted and is not in the ledger`);
      case 'arrived':
      case 'sent':
      case 'ran':
        return;
      default:
        observation satisfies never;
    }
  }

  #scheduleFault(kind: keyof FaultRates): void {
    const meanMs = this.#plan.faults[kind];
    if (meanMs === undefined) return;
    this.#world.after(1 - Math.log(1 - this.#prng.next()) * meanMs, () => {
      if (!this.#faulty) return;
      this.#fault(kind);
      this.#scheduleFault(kind);
    });
  }

  #fault(kind: keyof FaultRates): void {
    const agent = present(this.#agents[this.#prng.below(this.#agents.length)], 'a yard has agents');
    switch (kind) {
      case 'linkBreakMs':
        return this.#network.breakOne();
      case 'partitionMs':
        return this.#network.partition(agent.plan.id, this.#prng.below(90_000));
      case 'agentCrashMs':
        return agent.crash('kill -9');
      case 'agentStallMs':
        return agent.stall(this.#prng.below(60_000));
      case 'agentDrainMs':
        return agent.drain();
      case 'coordinatorCrashMs':
        return this.#crashCoordinator();
      case 'holdMs':
        return this.#client.holdSomething(this.#holdTargets());
      case 'cancelMs':
        return this.#client.cancelSomething();
      case 'retryMs':
        return this.#client.retrySomething();
      case 'expireMs':
        return this.#client.expireSomething();
      default:
        return kind satisfies never;
    }
  }

  #holdTargets(): readonly string[] {
    return this.#plan.agents.flatMap(({ id, labels }) => [
      `agent:${id}`,
      `pool:${labels['cluster']}/${labels['pool']}`,
      `cluster:${labels['cluster']}`,
    ]);
  }

  #stopFaults(): void {
    this.#world.trace('faults stop');
    this.#faulty = false;
    this.#network.heal();
    for (const agent of this.#agents) agent.wake();
    this.#client.liftAll();
    // Calls that were under way when faults stopped may still place a hold.
    this.#world.after(60_000, () => this.#client.liftAll());
  }
}
