import { unreachable } from '../../base/assert.ts';
import type { Clock, TimeMs } from '../../base/clock.ts';
import type { Fault } from '../../base/fault.ts';
import { silentLogger } from '../../base/log.ts';
import type { AgentMessage, CoordinatorMessage } from '../../agent/session/message.ts';
import type { Event, HeldLease } from '../../coordinator/core/event.ts';
import type { LeaseToken, SessionId, StepId } from '../../coordinator/core/ids.ts';
import { nameOf, buildOf } from '../../coordinator/core/ids.ts';
import type { AgentMessage as Told, Outbound, Outcome, Reply } from '../../coordinator/core/outcome.ts';
import type { PoolDemand, PoolShape } from '../../coordinator/core/demand.ts';
import type { AgentView, Explanation } from '../../coordinator/core/view.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { groupCommit } from '../../coordinator/ledger/group-commit.ts';
import type { Ledger, Term } from '../../coordinator/ledger/ledger.ts';
import { startDriver, type Driver } from '../../coordinator/shell/driver.ts';
import type { Lead, Observation } from './checker.ts';
import { Image } from './image.ts';
import type { CoordinatorEnd, Link } from './network.ts';
import type { Process } from './process.ts';
import type { Resolver } from './resolver.ts';
import type { StepPlan } from './workload.ts';
import type { World } from './world.ts';

/** How long a store is away for what is staged. */
const SEALED_MS = 700;

/** The scheduler as the simulation drives it; a mutation wraps it. */
export type SimCore = {
  apply(event: Event, now: TimeMs): Outcome;
  restore(records: readonly LedgerRecord[]): void;
  newestTime(): TimeMs;
  resume(now: TimeMs): Outcome;
  snapshot(): readonly LedgerRecord[];
  explain(step: StepId, now: TimeMs): Explanation | undefined;
  demandOf(shape: PoolShape): PoolDemand;
  agents(): readonly AgentView[];
};

export type CoordinatorOptions = {
  readonly world: World;
  readonly process: Process;
  readonly resolver: Resolver;
  readonly ledger: Ledger;
  readonly term: Term;
  /** What the ledger held when the term began, and what `core` was restored from. */
  readonly records: readonly LedgerRecord[];
  /** The time of this leader, by which it decides. */
  readonly clock: Clock;
  /** What its host says. */
  readonly hostClock: Clock;
  /** Whether nobody else can lead now. */
  readonly holds: () => boolean;
  readonly core: SimCore;
  readonly stepPlan: (step: StepId) => StepPlan;
  readonly observe: (observation: Observation) => void;
  /** The core or its driver broke down. */
  readonly failed: (error: unknown) => void;
};

/**
 * A coordinator while it leads: the production driver, group commit and core; streams and the rest of the shell are the
 * simulation's.
 */
export class SimCoordinator {
  readonly lead: Lead;
  readonly core: SimCore;
  readonly #options: CoordinatorOptions;
  readonly #links = new Set<Link>();
  readonly #sessions = new Map<SessionId, Link>();
  readonly #driver: Driver;
  #over = false;

  /** Goes on from the records, as a coordinator does that has just taken the lead. */
  constructor(options: CoordinatorOptions) {
    const { world, core, records, term, process, ledger, holds, observe, clock, hostClock } = options;
    this.#options = options;
    this.core = core;
    const decided = new Image();
    for (const record of records) decided.apply(record);
    this.lead = { term, decided, recoveredAt: world.clock.now() };
    observe({ kind: 'recovered', lead: this.lead });
    const first = this.#observed(undefined, () => core.resume(clock.now()));
    const driver = {
      core: { apply: (event: Event, now: TimeMs) => this.#observed(event, () => core.apply(event, now)) },
      first,
      commits: groupCommit(ledger, term),
      clock,
      env: { log: silentLogger, clock: hostClock },
      after: (delayMs: number, run: () => void) => process.after(delayMs, run),
      holds,
      receivers: () => ({ committed: () => {}, send: (send: Outbound) => this.#send(send) }),
    };
    this.#driver = startDriver(driver);
    world.promised();
    world.trace(`coordinator: leads with term ${term.counter}, ${records.length} records loaded`);
  }

  /** Resolves when it leads no more: with the fault that ended it, or undefined after `stop`. */
  get ended(): Promise<Fault | undefined> {
    return this.#driver.ended;
  }

  /** Whether nothing is decided that is not durable and delivered. */
  get quiet(): boolean {
    return !this.#over && this.#driver.backlog === 0;
  }

  stepDown(fault: Fault): void {
    this.#driver.stepDown(fault);
  }

  /** Makes durable what is decided and takes nothing more. */
  async stop(): Promise<void> {
    this.#closeLinks();
    await this.#driver[Symbol.asyncDispose]();
  }

  /** It has ended, or its process has. */
  drop(): void {
    this.#over = true;
    this.#closeLinks();
  }

  /** @throws {Fault} as `Driver.submit` */
  submit(event: Event): Promise<Reply> {
    return this.#driver.submit(event);
  }

  /** A new stream of an agent. */
  accept(link: Link): CoordinatorEnd {
    this.#links.add(link);
    let session: SessionId | undefined;
    let broken = false;
    const gone = () => {
      broken = true;
      this.#links.delete(link);
      if (session === undefined || this.#sessions.get(session) !== link) return;
      this.#sessions.delete(session);
      this.#driver.post({ kind: 'agent-disconnected', session });
    };
    return {
      broke: gone,
      received: (message) => {
        if (this.#over) return;
        if (message.kind !== 'register') {
          if (session !== undefined) this.#receive(session, link, message);
          return;
        }
        const before = (reply: Reply) => {
          if (reply.kind !== 'session') return;
          session = reply.session;
          this.#sessions.set(session, link);
        };
        const refused = () => refuse(link, { retry: true, reason: 'not now' });
        this.#driver
          .submit(registration(message), before)
          .then((reply) => (reply.kind === 'refused' ? refused() : broken ? gone() : undefined), refused);
      },
    };
  }

  #closeLinks(): void {
    for (const link of this.#links) link.close('coordinator');
    this.#links.clear();
    this.#sessions.clear();
  }

  #observed(event: Event | undefined, apply: () => Outcome): Outcome {
    const { world, observe, failed } = this.#options;
    const { lead } = this;
    try {
      if (event !== undefined) observe({ kind: 'arrived', event, at: world.clock.now(), lead });
      const outcome = apply();
      if (event !== undefined && event.kind !== 'woke') world.trace(`event ${brief(event)}`);
      for (const record of outcome.writes)
        if (record.kind === 'step') world.trace(`  step ${record.id} ${JSON.stringify(record.step.state)}`);
      observe({ kind: 'applied', event, outcome, at: world.clock.now(), lead });
      return outcome;
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  #receive(session: SessionId, link: Link, message: Exclude<AgentMessage, { kind: 'register' }>): void {
    const post = (event: Event) => this.#driver.post(event);
    switch (message.kind) {
      case 'heartbeat':
        return post({ kind: 'heartbeat-received', session, tokens: message.tokens.map(tokenOf), credits: message.credits });
      case 'accept':
        return post({ kind: 'offer-accepted', session, token: tokenOf(message.token) });
      case 'reject':
        return post({ kind: 'offer-rejected', session, token: tokenOf(message.token), reason: message.reason });
      case 'running':
        return post({ kind: 'attempt-started', session, token: tokenOf(message.token) });
      case 'finished':
        return post({ kind: 'attempt-finished', session, token: tokenOf(message.token), report: message.report });
      case 'log':
        return link.toAgent({ kind: 'log-ack', token: message.token, offset: message.offset + message.length });
      case 'draining':
        return post({ kind: 'agent-drained', session, reason: message.reason });
      case 'leaving':
        return post({ kind: 'agent-left', session });
      default:
        return unreachable(message);
    }
  }

  #send(send: Outbound): void {
    const { observe, process, resolver } = this.#options;
    if (send.kind !== 'resolve') observe({ kind: 'sent', send, lead: this.lead });
    switch (send.kind) {
      case 'tell-agent': {
        const link = this.#sessions.get(send.session);
        if (link === undefined) return;
        if (send.message.kind === 'superseded') {
          this.#sessions.delete(send.session);
          return refuse(link, { retry: false, reason: 'another agent has registered under the same id' });
        }
        const message = this.#messageOf(send.message);
        return message === undefined ? undefined : link.toAgent(message);
      }
      case 'resolve':
        process.after(resolver.delayMs(), () => {
          const resolution = resolver.resolve(send.step, this.lead.decided);
          if (resolution !== undefined) this.#driver.post({ kind: 'step-resolved', step: send.step, resolution });
        });
        return;
      case 'publish':
        process.after(resolver.publishDelayMs(), () => {
          const { step, since } = send;
          resolver.publish(step, send.action, send.result, this.lead.decided);
          if (since !== undefined) this.#driver.post({ kind: 'step-published', step, since, written: true });
        });
        return;
      case 'keep-dependencies':
        process.after(resolver.keepDelayMs(), () => {
          const results = resolver.keep(send.step, send.saves, this.lead.decided);
          if (results !== undefined) this.#driver.post({ kind: 'dependencies-kept', step: send.step, results });
        });
        return;
      case 'seal':
        process.after(SEALED_MS, () => this.#driver.post({ kind: 'step-sealed', step: send.step }));
        return;
      case 'distrusted':
      case 'close-log':
      case 'forget-build':
        return;
      default:
        return unreachable(send);
    }
  }

  #messageOf(told: Exclude<Told, { kind: 'superseded' }>): CoordinatorMessage | undefined {
    const { clock, stepPlan, resolver } = this.#options;
    switch (told.kind) {
      case 'registered':
        return {
          ...told,
          protocol: 1,
          logBytesMax: 2 ** 20,
          logWindowBytes: 2 ** 17,
          logs: [],
          serverTime: clock.now(),
          dataAddress: 'sim',
        };
      case 'offer': {
        const { spec } = stepPlan(told.step);
        const inputRoot = resolver.inputRootOf(told.step, this.lead.decided);
        if (inputRoot === undefined) return undefined;
        const { command, env, passEnv, workingDirectory, outputs, resources, network, sandbox, sideEffects, runTimeoutMs, graceMs } = spec;
        const rest = { command, env, passEnv, workingDirectory, outputs, resources, network, sandbox, sideEffects, runTimeoutMs, graceMs };
        return {
          ...told,
          ...rest,
          build: buildOf(told.step),
          step: nameOf(told.step),
          inputRoot,
          instanceName: 'sim',
          dependencies: resolver.offeredOf(told.step, this.lead.decided),
          streamsApart: spec.given !== undefined,
        };
      }
      default:
        return told;
    }
  }
}

/** The last word on a stream: as coordinators say it, and then they end it. */
export function refuse(link: Link, why: { readonly retry: boolean; readonly reason: string; readonly leaderAddress?: string }): void {
  link.toAgent({ kind: 'refused', ...why });
  link.close('coordinator');
}

function registration(message: Extract<AgentMessage, { kind: 'register' }>): Event {
  const { agentId, bootId, labels, capacity, sandbox, version, credits, held, draining } = message;
  // The agents' names and tokens came out of the simulation and the core in this very form.
  const facts = { agent: agentId as never, bootId, labels, capacity, sandbox, version };
  const leases: readonly HeldLease[] = held.map(({ token, phase }) => ({ token: tokenOf(token), phase }));
  return { kind: 'agent-registered', facts, credits, held: leases, draining };
}

function tokenOf(text: string): LeaseToken {
  return text as LeaseToken; // agents say only what the core told them
}

function brief(event: Event): string {
  return event.kind === 'build-submitted' ? `build-submitted ${event.id} with ${event.spec.steps.length} steps` : JSON.stringify(event);
}
