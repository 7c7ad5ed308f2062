import { present } from '../../base/assert.ts';
import { savesOf } from '../../coordinator/core/dependency.ts';
import { isUnsealed } from '../../coordinator/core/step-record.ts';
import type { StepId, BuildId } from '../../coordinator/core/ids.ts';
import { buildOf, nameOf, parseBuildId } from '../../coordinator/core/ids.ts';
import type { StepRecord } from '../../coordinator/core/state.ts';
import { SimAgent } from './agent.ts';
import type { Checker, Observation, Picture } from './checker.ts';
import { CHECKERS } from './checkers.ts';
import { checkDemand } from './checkers/demand.ts';
import { checkReplay } from './checkers/replay.ts';
import { Client } from './client.ts';
import type { SimCore } from './coordinator.ts';
import { productionCore, type Mutation } from './core.ts';
import { Faults } from './faults.ts';
import { Image } from './image.ts';
import { Network } from './network.ts';
import { Peer } from './peer.ts';
import { drawPlan, drawQuotas } from './plan.ts';
import { Resolver } from './resolver.ts';
import { Store } from './store.ts';
import { drawWorkload, type BuildPlan } from './workload.ts';
import { World } from './world.ts';

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
  /** Terms that were given. */
  readonly terms: number;
  /** What was injected, by kind. */
  readonly faults: ReadonlyMap<string, number>;
  /** Of steps that have not ended: why, by the core's own account. */
  readonly waiting: readonly string[];
  /** How often each kind of step end came. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly lastLines: readonly string[];
};

/** Longest time from the last fault to the end of everything. */
const QUIET_DOWN_MS = 4 * 3_600_000;
/** Events between looks at the whole. */
const LOOK_EVERY = 400;

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
  readonly #store: Store;
  readonly #durable = new Image();
  readonly #builds: readonly BuildPlan[];
  readonly #named = new Map<BuildId, BuildPlan>();
  readonly #client: Client;
  readonly #resolver: Resolver;
  readonly #agents: readonly SimAgent[];
  readonly #peers: readonly Peer[];
  readonly #checkers: readonly Checker[];
  readonly #accepted = new Set<BuildId>();
  #faulty = true;
  #terms = 0;
  #failure: unknown;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const world = new World(options.seed);
    this.#world = world;
    const plan = drawPlan(world.prng('plan'), options.steps);
    this.#plan = { ...plan, quotas: drawQuotas(world.prng('quotas'), plan.calm) };
    this.#network = new Network(world, this.#plan.latencyMaxMs);
    this.#store = new Store(world, noncesOf(world), (deed) => this.#observe(deed), options.mutation?.store);
    this.#builds = drawWorkload(this.#plan, world.prng('workload'));
    this.#client = this.#makeClient();
    this.#resolver = new Resolver({
      prng: world.prng('resolver'),
      dependencies: world.prng('dependencies'),
      publishing: world.prng('publishing'),
      stepPlan: (step) => this.#stepPlan(step),
      down: () => (this.#faulty ? this.#plan.cacheDown : 0),
    });
    this.#peers = this.#makePeers();
    this.#store.onHint = () => this.#peers.forEach((peer) => peer.hint());
    this.#agents = this.#makeAgents();
    const agents = new Map(this.#agents.map((agent) => [agent.plan.id, agent]));
    const picture: Picture = {
      world,
      plan: this.#plan,
      durable: this.#durable,
      missingEntries: () => this.#missingEntries(),
      stepPlan: (step) => this.#stepPlan(step),
      buildPlan: (id) => this.#planOf(id),
      holds: (agent, token) => agents.get(agent)?.holds(token) === true,
    };
    const { only } = options;
    this.#checkers = CHECKERS.map((make) => make(picture)).filter((checker) => only === undefined || checker.invariant === only);
  }

  async run(): Promise<void> {
    for (const peer of this.#peers) peer.start();
    for (const agent of this.#agents) agent.start();
    for (const build of this.#builds) this.#client.submit(build);
    const faults = new Faults({
      world: this.#world,
      plan: this.#plan,
      network: this.#network,
      store: this.#store,
      peers: this.#peers,
      agents: this.#agents,
      client: this.#client,
      lost: () => this.#ledgerLost(),
    });
    await this.#pass(this.#plan.faultsEndMs, () => this.#plan.calm && this.#allEnded());
    this.#faulty = false;
    faults.stop();
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
    const core = this.#leader()?.core;
    for (const [id, { state }] of this.#durable.steps) {
      if (state.kind === 'ended' || waiting.length >= 3) continue;
      waiting.push(`${id}: ${JSON.stringify(core?.explain(id, this.#world.clock.now()))}`);
    }
    const { eventCount: events, now: simulatedMs, lastLines, faults } = this.#world;
    return {
      seed: this.#options.seed,
      failure: this.#failure,
      events,
      simulatedMs,
      builds: this.#accepted.size,
      terms: this.#terms,
      faults,
      waiting,
      outcomes,
      lastLines,
    };
  }

  #makeClient(): Client {
    const world = this.#world;
    return new Client({
      world,
      peers: () => this.#peers.filter((peer) => peer.up),
      durable: () => this.#durable,
      readable: () => world.now >= this.#store.downUntil,
      lost: () => (this.#faulty ? this.#plan.callLost : 0),
      accepted: (id) => this.#observe({ kind: 'accepted', id }),
      reportedLost: (id) => this.#observe({ kind: 'reported-lost', id }),
      heardEnd: (id) => this.#observe({ kind: 'heard-end', id }),
      failed: (error) => this.failed(error),
      named: (id, plan) => this.#named.set(id, plan),
    });
  }

  #makePeers(): readonly Peer[] {
    const world = this.#world;
    const stepPlan = (step: StepId) => this.#stepPlan(step);
    const resolver = this.#resolver;
    return Array.from(
      { length: this.#plan.coordinators },
      (_, index) =>
        new Peer({
          address: addressOf(index),
          world,
          network: this.#network,
          store: this.#store,
          plan: this.#plan,
          breaks: this.#options.mutation?.peer ?? {},
          peerAt: (address) => this.#peers.find((peer) => peer.address === address),
          faulty: () => this.#faulty,
          makeCore: (nonce) => this.#makeCore(nonce),
          leading: {
            resolver,
            stepPlan,
            observe: (observation) => this.#observe(observation),
            failed: (error) => this.failed(error),
          },
        }),
    );
  }

  #makeAgents(): readonly SimAgent[] {
    const prng = this.#world.prng('agent restarts');
    return this.#plan.agents.map(
      (agent) =>
        new SimAgent(agent, this.#world, this.#network, {
          coordinators: Array.from({ length: this.#plan.coordinators }, (_, index) => addressOf(index)),
          stepPlan: (build, step) =>
            present(this.#planOf(present(parseBuildId(build), 'a build id')).steps.get(step), 'a step of the workload'),
          ran: (by, offer) => this.#observe({ kind: 'ran', agent: by, offer }),
          down: (which) => void this.#world.after(500 + prng.below(20_000), () => void (which.up || which.start())),
        }),
    );
  }

  /** The coordinator that leads and may commit. */
  #leader() {
    const nonce = this.#store.term?.nonce;
    return this.#peers.find((peer) => peer.leading !== undefined && peer.leading.lead.term.nonce === nonce)?.leading;
  }

  /** Lets time pass, and looks at the whole now and then. */
  async #pass(untilMs: number, over: () => boolean): Promise<void> {
    for (let next = 0; this.#failure === undefined && this.#world.now < untilMs;) {
      next = this.#world.eventCount + LOOK_EVERY;
      const before = this.#world.eventCount;
      await this.#world.run(untilMs, () => this.#failure !== undefined || this.#world.eventCount >= next);
      if (this.#failure !== undefined) return;
      this.#look();
      if (over() || this.#world.eventCount === before) return;
    }
  }

  /** What pools are wanted for is what a count of all steps says; at a quiet point the ledger alone makes the scheduler that is running. */
  #look(): void {
    const { only } = this.#options;
    const leading = this.#leader();
    if (leading !== undefined && (only ?? 'demand') === 'demand') {
      const picture = {
        decided: leading.lead.decided,
        plan: this.#plan,
        stepPlan: (step: StepId) => this.#stepPlan(step),
        projectOf: (step: StepId) => this.#planOf(buildOf(step)).spec.project,
      };
      checkDemand(leading.core, picture);
    }
    const leader = this.#quietLeader();
    if (leader === undefined || (only ?? 'replay') !== 'replay') return;
    checkReplay(leader.core, this.#store.load(), () => this.#makeCore('0'.repeat(32)));
  }

  #quietLeader() {
    const leader = this.#leader();
    const peer = this.#peers.find(({ leading }) => leading !== undefined && leading === leader);
    const current = peer?.quiet === true && leader !== undefined && !this.#unknowing.has(leader.lead.term.nonce);
    return current ? leader : undefined;
  }

  /** Terms that began before the ledger lost something. */
  readonly #unknowing = new Set<string>();
  readonly #given = new Set<string>();

  #allEnded(): boolean {
    if (!this.#client.done || this.#quietLeader() === undefined) return false;
    const { builds, forgotten, buildStates, steps } = this.#durable;
    const isOver = (id: BuildId) => !builds.has(id) || forgotten.has(id) || buildStates.get(id)?.kind === 'ended';
    if (![...this.#accepted].every(isOver)) return false;
    // What steps left in caches is written after their end.
    const isKept = (step: StepRecord) => savesOf(step.kept).length === 0 && !isUnsealed(step);
    return [...steps.values()].every(isKept) && this.#missingEntries().length === 0;
  }

  #missingEntries(): readonly StepId[] {
    return [...this.#durable.steps].flatMap(([id, { state }]) => {
      if (state.kind !== 'ended' || state.outcome.kind !== 'succeeded' || state.outcome.from !== 'run') return [];
      const isMissing = this.#durable.builds.has(buildOf(id)) && this.#stepPlan(id).spec.cacheable && state.outcome.result.exitCode === 0;
      return isMissing && !this.#resolver.isPublished(id, this.#durable) ? [id] : [];
    });
  }

  #planOf(id: BuildId): BuildPlan {
    return present(this.#named.get(id), 'the build was named by a client');
  }

  #stepPlan(step: StepId) {
    return present(this.#planOf(buildOf(step)).steps.get(nameOf(step)), 'a step of the workload');
  }

  #makeCore(nonce: string): SimCore {
    const { timings, weights, quotas } = this.#plan;
    return productionCore({ nonce, timings, weights, quotas, seed: this.#options.seed, mutation: this.#options.mutation });
  }

  #observe(observation: Observation): void {
    try {
      this.#take(observation);
      for (const checker of this.#checkers) {
        if (observation.kind === 'arrived') checker.arrived?.(observation.event, observation.at, observation.lead);
        checker.observe?.(observation);
      }
    } catch (error) {
      this.failed(error);
    }
  }

  /** Brings the images up to date. */
  #take(observation: Observation): void {
    switch (observation.kind) {
      case 'applied': {
        const { outcome, event, at, lead } = observation;
        for (const record of outcome.writes) {
          const change = lead.decided.apply(record);
          if (change !== undefined) for (const checker of this.#checkers) checker.decided?.(change, event, at, lead);
        }
        return;
      }
      case 'durable':
        for (const record of observation.records) {
          const change = this.#durable.apply(record);
          if (change !== undefined) for (const checker of this.#checkers) checker.durable?.(change);
        }
        return;
      case 'led':
        this.#terms += 1;
        this.#given.add(observation.term.nonce);
        this.#durable.dropOrphans();
        return;
      case 'accepted':
        this.#accepted.add(observation.id);
        return;
      case 'resigned':
      case 'refused':
      case 'recovered':
      case 'lost':
      case 'arrived':
      case 'sent':
      case 'reported-lost':
      case 'heard-end':
      case 'ran':
        return;
      default:
        observation satisfies never;
    }
  }

  /** The durable image goes back to what the ledger still has. */
  #ledgerLost(): void {
    const had = new Set([...this.#durable.builds.keys(), ...this.#durable.forgotten.keys()]);
    this.#durable.clear();
    for (const { records, isLead } of this.#store.history()) {
      if (isLead) this.#durable.dropOrphans();
      for (const record of records) this.#durable.apply(record);
    }
    for (const nonce of this.#given) this.#unknowing.add(nonce);
    const builds = new Set([...had].filter((id) => !this.#durable.builds.has(id) && !this.#durable.forgotten.has(id)));
    this.#observe({ kind: 'lost', term: this.#store.term, builds });
  }
}

function addressOf(index: number): string {
  return `coordinator-${index}:7000`;
}

/** 128 bits each, never the same twice. */
function noncesOf(world: World): () => string {
  const prng = world.prng('nonces');
  const part = () =>
    prng
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return () => Array.from({ length: 4 }, part).join('');
}
