import { unreachable } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import { prngFrom } from '../../base/prng.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';
import { takeVerdict } from './canary.ts';
import { cancelBuild, cancelOne, forgetBuild, retryStep, submit } from './builds.ts';
import { demandOf, type PoolDemand, type PoolShape } from './demand.ts';
import { dispatch } from './dispatch.ts';
import type { Event } from './event.ts';
import { explain } from './explain.ts';
import { liftHold, placeHold } from './holds.ts';
import type { AgentId, BuildId, LeaseToken, StepId } from './ids.ts';
import { takeKept } from './leases.ts';
import { DEFAULT_TIMINGS, LIMITS, type Limits, type Timings } from './limits.ts';
import type { Outcome } from './outcome.ts';
import type { LedgerRecord } from './record.ts';
import { resolveSteps, takeResolution } from './resolutions.ts';
import { forgiveStall, resume } from './resume.ts';
import { agentOf, disconnect, hear, register } from './sessions.ts';
import { scaleInOrder, type ScaleInCandidate } from './scale-in.ts';
import { settle } from './settle.ts';
import type { BuildSpec } from './spec.ts';
import type { Hold, TopologyRevision } from './state.ts';
import type { Tally } from './tally.ts';
import { ring } from './timeouts.ts';
import { applyTopology, effectsOf, type TopologyEffects } from './topology.ts';
import { Turn } from './turn.ts';
import { takePublished, takeSealed } from './unsealed.ts';
import { waitingOf, type Waiting } from './waiting.ts';
import { agentView, buildView, clusterViews, countsOf, leaseView, listBuilds, newestTime, poolViews } from './queries.ts';
import type { AgentView, BuildFilter, BuildView, ClusterView, Explanation, LeaseView, PoolView, StepView, YardCounts } from './view.ts';
import { keyOf, Yard } from './yard.ts';

export type SchedulerOptions = {
  /** The term's nonce: part of every token. */
  readonly nonce: string;
  readonly timings?: Partial<Timings>;
  readonly limits?: Partial<Limits>;
  /** Of the jitter; any whole number. */
  readonly seed: number;
  /** What holds as long as none is applied. @default OPEN_TOPOLOGY */
  readonly topology?: Topology;
};

/**
 * The whole of scheduling as a value machine: an event and the time in, `{writes, sends, wakeAt}` out. No clock, I/O,
 * logging or randomness of its own; the same events at the same times give the same outcomes.
 *
 * Each application rings what is due, handles the event, settles what follows from steps that ended, sees to steps that are
 * to be resolved, then hands free room to queued steps. All durable state changes through `Yard.evolve`, here and in `restore`.
 */
export class Scheduler {
  readonly #yard: Yard;
  readonly #turn: Turn;

  constructor(options: SchedulerOptions) {
    const timings = { ...DEFAULT_TIMINGS, ...options.timings };
    const limits = { ...LIMITS, ...options.limits };
    this.#yard = new Yard({ timings, limits, topology: options.topology ?? OPEN_TOPOLOGY });
    this.#turn = new Turn(this.#yard, prngFrom(options.seed), options.nonce);
  }

  /** Takes an event. A time before that of an earlier call counts as that one. */
  apply(event: Event, now: TimeMs): Outcome {
    const turn = this.#turn;
    turn.begin(now);
    forgiveStall(turn);
    this.#ringDue();
    this.#on(event);
    settle(turn);
    resolveSteps(turn);
    dispatch(turn);
    return turn.finish();
  }

  /**
   * Feeds what the ledger holds, in its order or in that of the commits; may be called in batches, before the first
   * `apply`.
   */
  restore(records: readonly LedgerRecord[]): void {
    for (const record of records) this.#yard.evolve(record);
    // Once for all revisions among them.
    this.#yard.obey();
  }

  /** The first outcome after `restore`. */
  resume(now: TimeMs): Outcome {
    const turn = this.#turn;
    turn.begin(now);
    resume(turn);
    settle(turn);
    this.#ringDue();
    resolveSteps(turn);
    dispatch(turn);
    return turn.finish();
  }

  /** Why the step is where it is; undefined where there is no such step. */
  explain(step: StepId, now: TimeMs): Explanation | undefined {
    const node = this.#yard.steps.get(step);
    return node === undefined ? undefined : explain(this.#yard, node, now);
  }

  /** The durable state: `restore` of it gives an equal scheduler. */
  snapshot(): readonly LedgerRecord[] {
    return this.#yard.snapshot();
  }

  /** The newest time in the records of builds that go on: an earlier one given to `resume` makes their leases and waits longer. */
  newestTime(): TimeMs {
    return newestTime(this.#yard);
  }

  build(id: BuildId): BuildView | undefined {
    const build = this.#yard.builds.get(id);
    return build === undefined ? undefined : buildView(build);
  }

  /** The build that was accepted under an idempotency key of the project's scope. */
  buildOfKey(owner: Pick<BuildSpec, 'project' | 'scope'>, idempotencyKey: string): BuildId | undefined {
    return this.#yard.byKey.get(keyOf(owner, idempotencyKey))?.id;
  }

  /** Builds that pass the filter, newest first. */
  builds(filter: BuildFilter): readonly BuildView[] {
    return listBuilds(this.#yard, filter);
  }

  step(id: StepId): StepView | undefined {
    return this.#yard.steps.get(id);
  }

  /** The live lease under a token. */
  lease(token: LeaseToken): LeaseView | undefined {
    const step = this.#yard.stepOf(token);
    return step === undefined ? undefined : leaseView(step);
  }

  /** The step that remembers an attempt under the token, live or ended. */
  stepOfToken(token: LeaseToken): StepView | undefined {
    return this.#yard.index.tokens.get(token);
  }

  /** Every agent with a session, by name. */
  agents(): readonly AgentView[] {
    const agents = [...this.#yard.fleet.agents.values()].toSorted((left, right) => (left.id < right.id ? -1 : 1));
    return agents.flatMap((agent) => agentView(this.#yard, agent, this.#turn.now) ?? []);
  }

  /** Pools with agents, by name. */
  pools(): readonly PoolView[] {
    return poolViews(this.#yard, this.#turn.now);
  }

  /** Clusters with agents, and those whose breaker is open; by name. */
  clusters(): readonly ClusterView[] {
    return clusterViews(this.#yard);
  }

  /** What a pool of such agents is wanted for. */
  demandOf(shape: PoolShape): PoolDemand {
    return demandOf(this.#yard, shape);
  }

  /** Agents of the pool `<cluster>/<pool>` that serve, in the order in which to do without them. */
  scaleInOrder(pool: string, now: TimeMs): readonly ScaleInCandidate[] {
    return scaleInOrder(this.#yard, pool, now);
  }

  /** Numbers for metrics, as of the newest event. */
  counts(): YardCounts {
    return countsOf(this.#yard, this.#turn.now);
  }

  /** How queued steps wait, for metrics. */
  waiting(): Waiting {
    return waitingOf(this.#yard);
  }

  /** Sums over the life of this scheduler, for metrics. */
  get tally(): Readonly<Tally> {
    return this.#yard.tally;
  }

  agent(id: AgentId): AgentView | undefined {
    const agent = this.#yard.fleet.agents.get(id);
    return agent === undefined ? undefined : agentView(this.#yard, agent, this.#turn.now);
  }

  holds(): readonly Hold[] {
    return [...this.#yard.fleet.holds.values()].map((node) => node.hold);
  }

  /** Topologies that were applied, oldest first; the last one holds. */
  topologies(): readonly TopologyRevision[] {
    return [...this.#yard.topologies.values()];
  }

  /** What holds. */
  get topology(): Topology {
    return this.#yard.fleet.topology;
  }

  /** What a topology would change for agents and queued steps. Reads only; costs agents times classes. */
  topologyEffects(topology: Topology): TopologyEffects {
    return effectsOf(this.#yard, topology);
  }

  /** Rings everything that is due. What rings may set the time of something else, but never to before now. */
  #ringDue(): void {
    const turn = this.#turn;
    for (let owner = this.#yard.timers.due(turn.now); owner !== undefined; owner = this.#yard.timers.due(turn.now)) {
      ring(turn, owner);
      settle(turn);
    }
  }

  #on(event: Event): void {
    const turn = this.#turn;
    switch (event.kind) {
      case 'build-submitted':
        return submit(turn, event);
      case 'build-cancelled':
        return cancelBuild(turn, event);
      case 'step-cancelled':
        return cancelOne(turn, event);
      case 'step-retried':
        return retryStep(turn, event);
      case 'step-resolved': {
        const step = this.#yard.steps.get(event.step);
        return step === undefined ? undefined : takeResolution(turn, step, event.resolution);
      }
      case 'dependencies-kept': {
        const step = this.#yard.steps.get(event.step);
        return step === undefined ? undefined : takeKept(turn, step, event.results);
      }
      case 'step-sealed': {
        const step = this.#yard.steps.get(event.step);
        return step === undefined ? undefined : takeSealed(turn, step);
      }
      case 'step-published': {
        const step = this.#yard.steps.get(event.step);
        return step === undefined ? undefined : takePublished(turn, step, event.since, event.written);
      }
      case 'build-expired':
        return forgetBuild(turn, event);
      case 'agent-registered':
        return register(turn, event);
      case 'agent-disconnected':
        return disconnect(turn, event.session);
      case 'heartbeat-received':
      case 'offer-accepted':
      case 'offer-rejected':
      case 'attempt-started':
      case 'attempt-finished':
      case 'agent-drained':
      case 'agent-left': {
        const agent = agentOf(turn, event.session);
        return agent === undefined ? undefined : hear(turn, agent, event);
      }
      case 'hold-placed':
        return placeHold(turn, event);
      case 'hold-lifted':
        return liftHold(turn, event);
      case 'canary-judged':
        return takeVerdict(turn, event);
      case 'topology-applied':
        return applyTopology(turn, event);
      case 'woke':
        return;
      default:
        return unreachable(event);
    }
  }
}
