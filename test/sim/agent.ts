import { unreachable } from '../../base/assert.ts';
import type { FailureClass } from '../../base/failure.ts';
import type { Prng } from '../../base/prng.ts';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { SessionCore } from '../../agent/session/core.ts';
import type { SessionCommand, SessionEvent } from '../../agent/session/event.ts';
import type { CoordinatorMessage, Offer } from '../../agent/session/message.ts';
import { reportedOf } from './dependencies.ts';
import { LeaseView } from './lease-view.ts';
import type { Link, Network } from './network.ts';
import type { AgentPlan } from './plan.ts';
import type { StepPlan } from './workload.ts';
import type { World } from './world.ts';

/** Every attempt with a token of this multiple ends while its data plane's store is away. */
const STAGED_EVERY = 5;

/** What the world outside of the agent's process sees of it. */
export type AgentHooks = {
  readonly stepPlan: (build: string, step: string) => StepPlan;
  readonly ran: (agent: AgentPlan, offer: Offer) => void;
  /** Where coordinators listen. */
  readonly coordinators: readonly string[];
  /** Its process has ended, whatever the reason. */
  readonly down: (agent: SimAgent) => void;
};

type Attempt = {
  readonly offer: Offer;
  /** Takes back the next thing that would happen to it by itself. */
  cancelNext: () => void;
  ended: boolean;
};

/** The result that every run of an action leaves, wherever it runs: what a client may expect. */
export function outputOf(inputRoot: Digest, command: readonly string[]): Digest {
  return digestOf(Buffer.from(`output of ${inputRoot} ${command.join(' ')}`));
}

/**
 * An agent: the production session under a simulated process. Its spool survives the process; its attempts do not. A
 * stalled process sees nothing until it goes on, while its clock runs.
 */
export class SimAgent {
  readonly plan: AgentPlan;
  readonly #world: World;
  readonly #network: Network;
  readonly #hooks: AgentHooks;
  readonly #prng: Prng;
  readonly #spool = new Map<string, AttemptReport>();
  #attempts = new Map<string, Attempt>();
  #view = new LeaseView();
  #session: SessionCore | undefined;
  #link: Link | undefined;
  #cancelWake = () => {};
  #life = 0;
  #stalledUntil = 0;
  #waiting: (() => void)[] = [];

  constructor(plan: AgentPlan, world: World, network: Network, hooks: AgentHooks) {
    this.plan = plan;
    this.#world = world;
    this.#network = network;
    this.#hooks = hooks;
    this.#prng = world.prng(`agent ${plan.id}`);
  }

  get up(): boolean {
    return this.#session !== undefined;
  }

  /** Whether it runs the lease's attempt, or has its result, and the lease goes on by all that it was told. */
  holds(token: string): boolean {
    const has = this.#attempts.has(token) || this.#spool.has(token);
    return this.up && has && this.#view.expiresAt(token) > this.#world.now;
  }

  start(): void {
    this.#life += 1;
    this.#world.trace(`${this.plan.id}: starts (life ${this.#life})`);
    const { id, labels, capacity, sandbox } = this.plan;
    const kept = [...this.#spool].map(([token, report]) => ({ token, report, logBytes: 0 }));
    const profile = { agentId: id, bootId: `boot-${this.#life}`, labels, capacity, sandbox, version: '1', drainTimeoutMs: 30_000 };
    this.#attempts = new Map();
    this.#view = new LeaseView();
    this.#session = new SessionCore(profile, this.#world.prng(`session ${id} ${this.#life}`), kept, this.#hooks.coordinators);
    this.#feed({ kind: 'woke' });
  }

  /** Kill -9 of the agent with all its steps. */
  crash(why: string): void {
    if (this.#session === undefined) return;
    this.#world.trace(`${this.plan.id}: dies (${why})`);
    this.#end();
  }

  /** The process stands still, as under SIGSTOP or a host that swaps. */
  stall(forMs: number): void {
    this.#world.trace(`${this.plan.id}: stands still for ${forMs} ms`);
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#world.now + forMs);
    this.#world.after(this.#stalledUntil - this.#world.now, () => {
      if (this.#world.now < this.#stalledUntil) return;
      for (const run of this.#waiting.splice(0)) run();
    });
  }

  wake(): void {
    this.#stalledUntil = 0;
    for (const run of this.#waiting.splice(0)) run();
  }

  /** SIGTERM. */
  drain(): void {
    this.#feed({ kind: 'drain-requested', reason: 'SIGTERM' });
  }

  #end(): void {
    this.#session = undefined;
    this.#life += 1;
    this.#cancelWake();
    this.#waiting = [];
    this.#stalledUntil = 0;
    for (const attempt of this.#attempts.values()) attempt.cancelNext();
    this.#attempts.clear();
    this.#link?.close('agent');
    this.#link = undefined;
    this.#hooks.down(this);
  }

  /** Gives the session an event, now or when the process goes on, and does what it says. */
  #feed(event: SessionEvent): void {
    const life = this.#life;
    if (this.#session === undefined) return;
    if (this.#world.now < this.#stalledUntil) {
      this.#waiting.push(() => void (life === this.#life && this.#feed(event)));
      return;
    }
    if (event.kind === 'message-received') this.#view.heard(event.message, this.#world.now);
    const { commands, sends, wakeAt, ended } = this.#session.apply(event, this.#world.clock.monotonic());
    for (const command of commands) this.#obey(command);
    for (const message of sends) {
      this.#view.said(message, this.#world.now);
      this.#link?.toCoordinator(message);
    }
    if (life !== this.#life) return;
    this.#cancelWake();
    if (ended !== undefined) {
      this.#world.trace(`${this.plan.id}: leaves (${ended.reason})`);
      return this.#end();
    }
    if (wakeAt !== undefined) this.#cancelWake = this.#world.after(wakeAt - this.#world.now, () => this.#feed({ kind: 'woke' }));
  }

  #obey(command: SessionCommand): void {
    switch (command.kind) {
      case 'dial':
        return this.#dial(command.stream, command.address);
      case 'hang-up':
        this.#link?.close('agent');
        this.#link = undefined;
        return;
      case 'prepare':
        return this.#prepare(command.offer);
      case 'run':
        return this.#run(command.token);
      case 'extend':
        return; // a stalled agent here is a stalled host: there is nobody left to keep the deadline
      case 'cancel':
        return this.#cancel(command.token, command.class, command.message, command.graceMs);
      case 'keep':
        this.#spool.set(command.token, command.report);
        return;
      case 'forget':
        this.#spool.delete(command.token);
        return;
      default:
        return unreachable(command);
    }
  }

  #dial(stream: number, address: string): void {
    const life = this.#life;
    this.#link?.close('agent');
    const feed = (event: SessionEvent) => void (life === this.#life && this.#feed(event));
    this.#link = this.#network.dial(this.plan.id, address, {
      connected: () => feed({ kind: 'connected', stream }),
      received: (message: CoordinatorMessage) => feed({ kind: 'message-received', stream, message }),
      broke: (code, message) => feed({ kind: 'stream-broke', stream, code, message }),
    });
  }

  #prepare(offer: Offer): void {
    const attempt: Attempt = { offer, cancelNext: () => {}, ended: false };
    this.#attempts.set(offer.token, attempt);
    const end = this.#plannedEnd(offer);
    this.#next(attempt, this.#prng.below(300), () => {
      if (end === 'cache-error' || end === 'sandbox-error')
        return this.#finish(attempt, failed(end, 'drawn to fail while it was made ready'));
      this.#feed({ kind: 'attempt-prepared', token: offer.token });
    });
  }

  #run(token: string): void {
    const attempt = this.#attempts.get(token);
    if (attempt === undefined || attempt.ended) return;
    this.#next(attempt, this.#prng.below(20), () => {
      const plan = this.#hooks.stepPlan(attempt.offer.build, attempt.offer.step);
      this.#hooks.ran(this.plan, attempt.offer);
      this.#feed({ kind: 'attempt-running', token });
      const logBytes = this.#prng.below(4) === 0 ? this.#prng.below(300_000) : 0;
      this.#next(attempt, plan.poison ? 100 : plan.runMs, () => {
        if (plan.poison) return this.crash(`poisoned by ${attempt.offer.step}`);
        if (logBytes > 0) this.#feed({ kind: 'log-grew', token, size: logBytes });
        this.#feed({ kind: 'attempt-exited', token });
        this.#next(attempt, this.#prng.below(200), () => this.#finish(attempt, this.#reportOf(attempt.offer)));
      });
    });
  }

  #cancel(token: string, cause: FailureClass, message: string, graceMs: number): void {
    const attempt = this.#attempts.get(token);
    if (attempt === undefined || attempt.ended) return;
    attempt.cancelNext();
    this.#next(attempt, this.#prng.below(graceMs + 1), () => this.#finish(attempt, failed(cause, message)));
  }

  #finish(attempt: Attempt, report: AttemptReport): void {
    if (attempt.ended) return;
    attempt.ended = true;
    this.#attempts.delete(attempt.offer.token);
    this.#feed({ kind: 'attempt-finished', token: attempt.offer.token, report });
  }

  #next(attempt: Attempt, delayMs: number, run: () => void): void {
    const life = this.#life;
    attempt.cancelNext = this.#world.after(delayMs, () => void (life === this.#life && !attempt.ended && run()));
  }

  #plannedEnd({ build, step, attempt }: Offer) {
    return this.#hooks.stepPlan(build, step).ends(attempt);
  }

  #reportOf(offer: Offer): AttemptReport {
    const end = this.#plannedEnd(offer);
    const now = this.#world.clock.now();
    const outputs = [{ kind: 'file', path: 'out', digest: outputOf(offer.inputRoot, offer.command), executable: false }] as const;
    const result = {
      exitCode: end === 'exit' ? 1 : 0,
      outputs,
      log: undefined,
      usage: NO_USAGE,
      agent: this.plan.id,
      startedAt: now,
      endedAt: now,
    };
    const said = offer.dependencies.length === 0 ? {} : { dependencies: reportedOf(offer.dependencies, end === 'succeeded', offer.token) };
    const staged = Number(offer.token.slice(offer.token.indexOf('.') + 1)) % STAGED_EVERY === 0 ? { staged: true } : {};
    if (end === 'succeeded') return { kind: 'succeeded', result, ...said, ...staged };
    return { kind: 'failed', class: end, message: `drawn to end with ${end}`, result, ...said };
  }
}

function failed(cause: FailureClass, message: string): AttemptReport {
  return { kind: 'failed', class: cause, message, result: undefined };
}
