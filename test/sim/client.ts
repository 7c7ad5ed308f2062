import { present } from '../../base/assert.ts';
import type { Prng } from '../../base/prng.ts';
import type { Event } from '../../coordinator/core/event.ts';
import { parseBuildId, stepIdOf, type BuildId } from '../../coordinator/core/ids.ts';
import type { Reply } from '../../coordinator/core/outcome.ts';
import type { Peer } from './peer.ts';
import type { Image } from './image.ts';
import type { BuildPlan } from './workload.ts';
import { Violation, type World } from './world.ts';

export type ClientOptions = {
  readonly world: World;
  readonly peers: () => readonly Peer[];
  readonly durable: () => Image;
  /** Chance that a call or its answer is lost. */
  readonly lost: () => number;
  readonly accepted: (id: BuildId) => void;
  /** The build that it had been told of is not there. */
  readonly reportedLost: (id: BuildId) => void;
  readonly heardEnd: (id: BuildId) => void;
  /** Whether the ledger answers. */
  readonly readable: () => boolean;
  readonly failed: (error: unknown) => void;
  /** The build that a submission under this id would make. */
  readonly named: (id: BuildId, plan: BuildPlan) => void;
};

const RETRY_MS = 3_000;
/** How often somebody who waits for a build looks for it. */
const LOOK_MS = 15_000;

/** Callers and operators: they submit until they are heard, and change their minds. */
export class Client {
  readonly #options: ClientOptions;
  readonly #prng: Prng;
  readonly #accepted: BuildId[] = [];
  readonly #watched = new Set<BuildId>();
  #ids = 0;
  #waiting = 0;
  #holds = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#prng = options.world.prng('client');
  }

  /** Whether every submission has been answered, and what the answers named is there. */
  get done(): boolean {
    const { builds, forgotten } = this.#options.durable();
    return this.#waiting === 0 && [...this.#watched].every((id) => builds.has(id) || forgotten.has(id));
  }

  submit(plan: BuildPlan): void {
    this.#waiting += 1;
    this.#options.world.after(plan.submitAtMs, () => this.#trySubmit(plan));
  }

  #trySubmit(plan: BuildPlan): void {
    this.#ids += 1;
    const id = present(parseBuildId(`b-${String(this.#ids).padStart(26, '0')}`), 'a build id');
    this.#options.named(id, plan);
    const { spec, idempotencyKey } = plan;
    this.#call({ kind: 'build-submitted', id, spec, idempotencyKey }, (reply) => {
      if (reply?.kind !== 'build') {
        if (reply?.kind === 'refused' && reply.code !== 'LIMIT_EXCEEDED') {
          this.#options.failed(new Violation('admission', `a good build was refused: ${reply.message}`));
        }
        this.#options.world.after(RETRY_MS, () => this.#trySubmit(plan));
        return;
      }
      this.#waiting -= 1;
      this.#accepted.push(reply.id);
      this.#options.accepted(reply.id);
      this.#watch(plan, reply.id);
      // Some ask again although they were heard: it must be the same build.
      if (this.#prng.below(5) === 0) this.#askAgain(plan, reply.id);
    });
  }

  #askAgain(plan: BuildPlan, known: BuildId): void {
    this.#ids += 1;
    const id = present(parseBuildId(`b-${String(this.#ids).padStart(26, '0')}`), 'a build id');
    this.#options.named(id, plan);
    const { spec, idempotencyKey } = plan;
    this.#call({ kind: 'build-submitted', id, spec, idempotencyKey }, (reply) => {
      const gone = this.#options.durable().forgotten.has(known) || !this.#options.durable().builds.has(known);
      if (reply?.kind === 'build' && reply.id !== known && !gone) {
        this.#options.failed(new Violation('idempotency', `${idempotencyKey} is ${known} and ${reply.id}`));
      }
      if (reply?.kind !== 'build' || reply.id === known) return;
      this.#options.accepted(reply.id);
      this.#watch(plan, reply.id);
    });
  }

  /** Waits for the build's end. Where nobody knows the build any more, it asks for it again, with the same key. */
  #watch(plan: BuildPlan, id: BuildId): void {
    const { world, durable, readable, reportedLost, heardEnd } = this.#options;
    this.#watched.add(id);
    world.after(LOOK_MS, () => {
      const over = durable().forgotten.has(id) || durable().buildStates.get(id)?.kind === 'ended';
      if (!readable() || (durable().builds.has(id) && !over)) return this.#watch(plan, id);
      this.#watched.delete(id);
      if (over) return heardEnd(id);
      world.trace(`client: ${id} is unknown, and is asked for again`);
      reportedLost(id);
      this.#waiting += 1;
      this.#trySubmit(plan);
    });
  }

  cancelSomething(): void {
    const build = this.#someBuild();
    if (build === undefined) return;
    const by = { by: 'ann', reason: 'changed her mind' };
    const step = this.#someStep(build);
    if (this.#prng.below(3) === 0 || step === undefined) this.#call({ kind: 'build-cancelled', id: build, ...by }, () => {});
    else this.#call({ kind: 'step-cancelled', step, ...by }, () => {});
  }

  retrySomething(): void {
    const build = this.#someBuild();
    const step = build === undefined ? undefined : this.#someStep(build);
    if (step !== undefined) this.#call({ kind: 'step-retried', step, by: 'ann' }, () => {});
  }

  expireSomething(): void {
    const build = this.#someBuild();
    const ended = build !== undefined && this.#options.durable().buildStates.get(build)?.kind === 'ended';
    if (ended) this.#call({ kind: 'build-expired', id: build }, () => {});
  }

  holdSomething(targets: readonly string[]): void {
    const target = targets[this.#prng.below(targets.length)];
    if (target === undefined) return;
    this.#holds += 1;
    const forMs = 1_000 + this.#prng.below(30_000);
    const lifted = this.#prng.below(2) === 0;
    const hold = this.#prng.below(2) === 0 ? 'pause' : 'drain';
    const expiresAt = lifted ? undefined : this.#options.world.clock.now() + forMs;
    this.#call({ kind: 'hold-placed', target, hold, reason: `hold ${this.#holds}`, by: 'ops', expiresAt }, () => {});
    if (lifted) this.#options.world.after(forMs, () => this.#lift(target));
  }

  /** Lifts every hold that there is. */
  liftAll(): void {
    for (const target of this.#options.durable().holds.keys()) this.#lift(target);
  }

  #lift(target: string): void {
    this.#call({ kind: 'hold-lifted', target, by: 'ops' }, (reply) => {
      if (reply === undefined) this.#options.world.after(RETRY_MS, () => this.#lift(target));
    });
  }

  #someBuild(): BuildId | undefined {
    return this.#accepted[this.#prng.below(Math.max(1, this.#accepted.length))];
  }

  #someStep(build: BuildId) {
    const names = this.#options.durable().builds.get(build)?.stepNames ?? [];
    const name = names[this.#prng.below(Math.max(1, names.length))];
    return name === undefined ? undefined : stepIdOf(build, name);
  }

  /** One call over a network that may lose it, or its answer. `answered` gets undefined where no answer came. */
  #call(event: Event, answered: (reply: Reply | undefined) => void): void {
    const { world, peers, lost } = this.#options;
    const lose = this.#prng.next() < lost();
    const loseAnswer = this.#prng.below(2) === 0;
    let over = false;
    const end = (reply: Reply | undefined) => {
      if (over) return;
      over = true;
      answered(reply);
    };
    world.after(this.#prng.below(20), () => {
      const known = peers();
      const peer = known[this.#prng.below(known.length)];
      if (peer === undefined || (lose && !loseAnswer)) return void world.after(RETRY_MS, () => end(undefined));
      world.after(10_000, () => end(undefined));
      world.promised();
      peer.call(event, false).then(
        (reply) => void (lose || world.after(this.#prng.below(20), () => end(reply))),
        () => end(undefined), // the coordinator stepped down: the caller asks again
      );
    });
  }
}
