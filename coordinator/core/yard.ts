import { assert, present, unreachable } from '../../base/assert.ts';
import { Fleet } from './fleet.ts';
import { link } from './graph.ts';
import { buildOf, stepIdOf, type BuildId, type LeaseToken, type StepId } from './ids.ts';
import type { Limits, Timings } from './limits.ts';
import { BuildNode, HoldNode, ProjectNode, StepNode, type TimerOwner } from './nodes.ts';
import type { BuildEvent, BuildRecord, LedgerRecord } from './record.ts';
import { Shares } from './share.ts';
import type { StepSpec } from './spec.ts';
import type { StepRecord, TopologyRevision } from './state.ts';
import { StepIndex } from './step-index.ts';
import { projectRules, type Topology } from '../../topology/model.ts';
import { newTally, type Tally } from './tally.ts';
import { Timers } from './timers.ts';

export type YardOptions = { readonly limits: Limits; readonly timings: Timings; readonly topology: Topology };

/** Parts of a submission: specs by the step's name, records by its id. */
type Early = { readonly specs: Map<string, StepSpec>; readonly steps: Map<StepId, StepRecord> };

/**
 * Everything that the core knows. Durable state changes by `evolve` alone, whether the record was decided just now or comes
 * from the ledger, so that a restart ends up where live traffic was. `evolve` decides nothing and sends nothing: it keeps
 * the records and the indexes over them.
 */
export class Yard {
  readonly limits: Limits;
  readonly timings: Timings;
  readonly builds = new Map<BuildId, BuildNode>();
  readonly steps = new Map<StepId, StepNode>();
  readonly projects = new Map<string, ProjectNode>();
  /** By project and idempotency key. */
  readonly byKey = new Map<string, BuildNode>();
  readonly timers = new Timers<TimerOwner>();
  readonly shares = new Shares();
  readonly tally: Tally = newTally();
  readonly fleet: Fleet;
  readonly index: StepIndex;
  /** What holds as long as none is applied. */
  readonly #first: Topology;
  /** By revision, oldest first. */
  readonly topologies = new Map<number, TopologyRevision>();
  /** What came ahead of its build record: a submission that is not whole yet. */
  readonly #early = new Map<BuildId, Early>();

  constructor(options: YardOptions) {
    this.limits = options.limits;
    this.timings = options.timings;
    this.#first = options.topology;
    this.fleet = new Fleet(options.limits, options.topology);
    this.index = new StepIndex(this);
  }

  evolve(record: LedgerRecord): void {
    switch (record.kind) {
      case 'build':
        return this.#addBuild(record.build);
      case 'build-state': {
        const build = this.builds.get(record.id);
        if (build === undefined) return;
        build.state = record.state;
        build.eventSeq = Math.max(build.eventSeq, record.state.lastEventSeq ?? 1);
        if (build.state.kind === 'ended' && build.share.queues.size === 0) build.share.queueOf.clear();
        return this.setBuildTimer(build);
      }
      case 'step-spec':
        return this.#addSpec(record.id, record.spec);
      case 'step':
        return this.#setStep(record.id, record.step);
      case 'session':
        return this.fleet.setSession(record.session);
      case 'agent-forgotten':
        return this.fleet.forget(record.agent);
      case 'hold':
        this.#liftHold(record.hold.target);
        return this.#addHold(new HoldNode(record.hold, this.fleet.nextOrdinal()));
      case 'hold-lifted':
        return this.#liftHold(record.target);
      case 'topology':
        this.topologies.set(record.revision.revision, record.revision);
        return;
      case 'topology-forgotten':
        this.topologies.delete(record.revision);
        return;
      case 'event': {
        const build = this.builds.get(record.build);
        return build === undefined ? undefined : this.evolveEvent(build, record.event);
      }
      case 'build-forgotten':
        return this.#forgetBuild(record.id);
      default:
        return unreachable(record);
    }
  }

  /** `evolve` with a step's record, for those who have the step at hand: most records are of this kind. */
  evolveStep(step: StepNode, record: StepRecord): void {
    this.index.set(step, record);
    step.build.eventSeq = Math.max(step.build.eventSeq, record.lastEventSeq ?? 0);
  }

  /** `evolve` with an event, for those who have the build at hand. */
  evolveEvent(build: BuildNode, event: BuildEvent): void {
    build.eventSeq = event.seq;
  }

  /** The durable state, in an order that `evolve` takes and that two equal yards share. */
  snapshot(): readonly LedgerRecord[] {
    const records: LedgerRecord[] = [];
    for (const build of [...this.builds.values()].toSorted((left, right) => (left.id < right.id ? -1 : 1))) {
      records.push({ kind: 'build', build: build.record }, { kind: 'build-state', id: build.id, state: build.state });
      for (const step of build.steps) records.push({ kind: 'step-spec', id: step.id, spec: step.spec });
      for (const step of build.steps) records.push({ kind: 'step', id: step.id, step: step.record });
    }
    for (const agent of [...this.fleet.agents.values()].toSorted((left, right) => (left.id < right.id ? -1 : 1))) {
      if (agent.session !== undefined) records.push({ kind: 'session', agent: agent.id, session: agent.session });
    }
    for (const [, { hold }] of [...this.fleet.holds].toSorted(([left], [right]) => (left < right ? -1 : 1)))
      records.push({ kind: 'hold', hold });
    for (const revision of this.topologies.values()) records.push({ kind: 'topology', revision });
    return records;
  }

  /** The newest topology holds from now on: to be called after the record of one. */
  obey(): void {
    const newest = [...this.topologies.values()].at(-1)?.topology ?? this.#first;
    if (newest === this.fleet.topology) return;
    this.fleet.obey(newest);
    for (const project of this.projects.values()) {
      const { weight, quota } = projectRules(newest, project.name);
      this.shares.weigh(project, weight);
      project.quota = quota;
      this.fleet.obeyQuota(project);
    }
  }

  stepOf(token: LeaseToken): StepNode | undefined {
    return this.index.stepOfLease(token);
  }

  setBuildTimer(build: BuildNode): void {
    const { timeoutMs } = build.record.spec;
    const runs = build.state.kind === 'running' && timeoutMs !== undefined;
    this.timers.set(build.timer, runs ? buildSince(build) + timeoutMs : undefined);
  }

  project(name: string): ProjectNode {
    let project = this.projects.get(name);
    if (project === undefined) {
      const { weight, quota } = projectRules(this.fleet.topology, name);
      project = new ProjectNode(name, this.fleet.nextOrdinal(), weight, this.limits.retryBudgetBurst);
      project.quota = quota;
      this.projects.set(name, project);
    }
    return project;
  }

  /** `evolve` with a whole submission: the build and its steps, which are blocked until a record says otherwise. */
  accept(record: BuildRecord, specs: readonly StepSpec[]): BuildNode {
    const build = this.#openBuild(record);
    this.#addSteps(build, specs);
    return build;
  }

  #addBuild(record: BuildRecord): void {
    const build = this.#openBuild(record);
    const early = this.#early.get(record.id);
    if (early !== undefined) this.#addWhole(build, early);
  }

  #openBuild(record: BuildRecord): BuildNode {
    const build = new BuildNode(record, this.project(record.spec.project), this.fleet.nextOrdinal());
    assert(!this.builds.has(record.id), 'a build is accepted once');
    this.builds.set(record.id, build);
    this.byKey.set(buildKeyOf(record), build);
    build.project.buildCount += 1;
    build.eventSeq = 1;
    this.setBuildTimer(build);
    return build;
  }

  #addSpec(id: StepId, spec: StepSpec): void {
    const build = this.builds.get(buildOf(id));
    if (build !== undefined && build.steps.length > 0) return;
    const early = this.#earlyOf(buildOf(id));
    early.specs.set(spec.name, spec);
    if (build !== undefined) this.#addWhole(build, early);
  }

  /** Where all specs are there, the steps come to life. */
  #addWhole(build: BuildNode, { specs, steps }: Early): void {
    const { stepNames } = build.record;
    if (specs.size < stepNames.length) return;
    this.#early.delete(build.id);
    const ordered = stepNames.map((name) => present(specs.get(name), 'a build has a spec for each step name'));
    this.#addSteps(build, ordered);
    for (const [id, step] of steps) this.#setStep(id, step);
  }

  #addSteps(build: BuildNode, specs: readonly StepSpec[]): void {
    build.steps = specs.map((spec, index) => new StepNode(stepIdOf(build.id, spec.name), spec, build, index));
    link(build.steps);
    for (const step of build.steps) {
      this.steps.set(step.id, step);
      this.index.add(step);
    }
    build.project.unfinishedCount += build.steps.length;
  }

  #setStep(id: StepId, record: StepRecord): void {
    const step = this.steps.get(id);
    if (step === undefined) return void this.#earlyOf(buildOf(id)).steps.set(id, record);
    this.evolveStep(step, record);
  }

  #earlyOf(id: BuildId): Early {
    let early = this.#early.get(id);
    if (early === undefined) this.#early.set(id, (early = { specs: new Map(), steps: new Map() }));
    return early;
  }

  #addHold(node: HoldNode): void {
    this.fleet.holds.set(node.hold.target, node);
    this.timers.set(node.timer, node.hold.expiresAt);
    for (const agent of this.fleet.agents.values()) this.fleet.refresh(agent);
  }

  #liftHold(target: string): void {
    const node = this.fleet.holds.get(target);
    if (node === undefined) return;
    this.fleet.holds.delete(target);
    this.timers.set(node.timer, undefined);
    for (const agent of this.fleet.agents.values()) this.fleet.refresh(agent);
  }

  #forgetBuild(id: BuildId): void {
    this.#early.delete(id);
    const build = this.builds.get(id);
    if (build === undefined) return;
    for (const step of build.steps) {
      this.index.drop(step);
      this.steps.delete(step.id);
    }
    this.timers.set(build.timer, undefined);
    this.byKey.delete(buildKeyOf(build.record));
    this.builds.delete(id);
    const { project } = build;
    project.leaveShare(build);
    project.buildCount -= 1;
    if (project.buildCount > 0) return;
    this.projects.delete(project.name);
    this.fleet.forgetProject(project);
  }
}

/** When the build's timeout began to count. */
export function buildSince(build: BuildNode): number {
  return build.state.kind === 'running' && build.state.since !== undefined ? build.state.since : build.record.acceptedAt;
}

/** Each scope has keys of its own: callers of one can neither take nor find those of another. */
export function keyOf({ project, scope }: Pick<BuildRecord['spec'], 'project' | 'scope'>, idempotencyKey: string): string {
  return `${project}\n${scope}\n${idempotencyKey}`;
}

function buildKeyOf(record: BuildRecord): string {
  return keyOf(record.spec, record.idempotencyKey);
}

/** The name by which a step's build knows it. */
export function stepName(step: StepNode): string {
  return step.spec.name;
}
