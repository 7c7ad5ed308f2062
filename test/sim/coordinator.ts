import { unreachable } from '../../base/assert.ts';
import { silentLogger } from '../../base/log.ts';
import type { AgentMessage, CoordinatorMessage } from '../../agent/session/message.ts';
import type { Event, HeldLease } from '../../coordinator/core/event.ts';
import type { LeaseToken, SessionId, StepId } from '../../coordinator/core/ids.ts';
import { nameOf, buildOf } from '../../coordinator/core/ids.ts';
import type { AgentMessage as Told, Outbound, Outcome, Reply } from '../../coordinator/core/outcome.ts';
import type { Explanation } from '../../coordinator/core/view.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { groupCommit } from '../../coordinator/ledger/group-commit.ts';
import type { MemoryLedger } from '../../coordinator/ledger/memory.ts';
import { startDriver, type Driver } from '../../coordinator/shell/driver.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Observation } from './checker.ts';
import { ledgerLink, type LedgerLink } from './ledger.ts';
import type { CoordinatorEnd, Link, Network } from './network.ts';
import type { Plan } from './plan.ts';
import type { Resolver } from './resolver.ts';
import type { StepPlan } from './workload.ts';
import type { World } from './world.ts';

/** The scheduler as the simulation drives it; a mutation wraps it. */
export type SimCore = {
  apply(event: Event, now: TimeMs): Outcome;
  restore(records: readonly LedgerRecord[]): void;
  resume(now: TimeMs): Outcome;
  snapshot(): readonly LedgerRecord[];
  explain(step: StepId, now: TimeMs): Explanation | undefined;
};

export type CoordinatorOptions = {
  readonly world: World;
  readonly network: Network;
  readonly ledger: MemoryLedger;
  readonly plan: Plan;
  readonly resolver: Resolver;
  readonly makeCore: (nonce: string) => SimCore;
  readonly stepPlan: (step: StepId) => StepPlan;
  readonly observe: (observation: Observation) => void;
  readonly faulty: () => boolean;
  /** Kills this very coordinator. */
  readonly die: () => void;
  /** The core or its driver broke down. */
  readonly failed: (error: unknown) => void;
};

const TTL_MS = 10_000;

/**
 * A coordinator's life between two crashes: the production driver, group commit, core and ledger; streams and the rest of
 * the shell are the simulation's.
 */
export class SimCoordinator {
  readonly core: SimCore;
  readonly #options: CoordinatorOptions;
  readonly #ledger: LedgerLink;
  readonly #links = new Set<Link>();
  readonly #sessions = new Map<SessionId, Link>();
  readonly #timers = new Set<() => void>();
  #driver: Driver | undefined;
  #dead = false;

  private constructor(options: CoordinatorOptions, ledger: LedgerLink, core: SimCore) {
    this.#options = options;
    this.#ledger = ledger;
    this.core = core;
  }

  /** Leads, loads, restores and goes on, as a coordinator does that has just been started. */
  static async start(options: CoordinatorOptions): Promise<SimCoordinator> {
    const { world, plan, observe } = options;
    const signal = new AbortController().signal;
    const chance = world.prng(`commits ${world.now}`);
    const ledger = ledgerLink({
      world,
      inner: options.ledger,
      prng: world.prng(`ledger ${world.now}`),
      commitMaxMs: plan.commitMaxMs,
      diesAfterCommit: () => options.faulty() && chance.next() < plan.commitCrash,
      die: options.die,
      applied: (records) => observe({ kind: 'durable', records: records.filter(isState) }),
    });
    const term = await ledger.lead({ id: 'coordinator', address: '' }, TTL_MS, signal);
    if (term === undefined) throw new Error('one holder can always lead again');
    const records: LedgerRecord[] = [];
    for await (const batch of ledger.load(signal)) records.push(...batch);
    const coordinator = new SimCoordinator(options, ledger, options.makeCore(term.nonce));
    coordinator.core.restore(records);
    observe({ kind: 'recovered', at: world.clock.now() });
    const first = coordinator.#observed(undefined, () => coordinator.core.resume(world.clock.now()));
    coordinator.#driver = startDriver({
      core: { apply: (event, now) => coordinator.#observed(event, () => coordinator.core.apply(event, now)) },
      first,
      commits: groupCommit(ledger, term),
      clock: world.clock,
      env: { log: silentLogger, clock: world.clock },
      after: (delayMs, run) => coordinator.#after(delayMs, run),
      receivers: () => ({ committed: () => {}, send: (send) => coordinator.#send(send) }),
    });
    world.promised();
    options.network.accept = (link) => coordinator.#accept(link);
    world.trace(`coordinator: leads with term ${term.counter}, ${records.length} records loaded`);
    return coordinator;
  }

  /** Whether nothing is decided that is not durable and delivered. */
  get quiet(): boolean {
    return this.#driver?.backlog === 0 && !this.#ledger.inFlight;
  }

  /** Kill -9. */
  crash(): void {
    this.#options.world.trace('coordinator: dies');
    this.#dead = true;
    this.#options.network.accept = undefined;
    for (const cancel of this.#timers) cancel();
    this.#ledger.cut();
    for (const link of this.#links) link.close('coordinator');
  }

  /** @throws {Fault} as `Driver.submit` */
  async submit(event: Event): Promise<Reply> {
    this.#options.world.promised();
    return await this.#require().submit(event);
  }

  #require(): Driver {
    if (this.#driver === undefined || this.#dead) throw new Error('only a living coordinator is asked');
    return this.#driver;
  }

  #post(event: Event): void {
    this.#options.world.promised();
    if (!this.#dead) this.#driver?.post(event);
  }

  #after(delayMs: number, run: () => void): () => void {
    const cancel = this.#options.world.after(delayMs, () => {
      this.#timers.delete(cancel);
      this.#options.world.promised();
      if (!this.#dead) run();
    });
    this.#timers.add(cancel);
    return cancel;
  }

  #observed(event: Event | undefined, apply: () => Outcome): Outcome {
    const { world, observe, failed } = this.#options;
    try {
      if (event !== undefined) observe({ kind: 'arrived', event, at: world.clock.now() });
      const outcome = apply();
      if (event !== undefined && event.kind !== 'woke') world.trace(`event ${brief(event)}`);
      for (const record of outcome.writes)
        if (record.kind === 'step') world.trace(`  step ${record.id} ${JSON.stringify(record.step.state)}`);
      observe({ kind: 'applied', event, outcome, at: world.clock.now() });
      return outcome;
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  #accept(link: Link): CoordinatorEnd {
    this.#links.add(link);
    let session: SessionId | undefined;
    let broken = false;
    const gone = () => {
      broken = true;
      this.#links.delete(link);
      if (session === undefined || this.#sessions.get(session) !== link) return;
      this.#sessions.delete(session);
      this.#post({ kind: 'agent-disconnected', session });
    };
    return {
      broke: () => void (this.#dead || gone()),
      received: (message) => {
        if (this.#dead) return;
        this.#options.world.promised();
        if (message.kind !== 'register') {
          if (session !== undefined) this.#receive(session, link, message);
          return;
        }
        const before = (reply: Reply) => {
          if (reply.kind !== 'session') return;
          session = reply.session;
          this.#sessions.set(session, link);
        };
        // A refusal or the coordinator's end closes the stream: the agent dials again.
        const closed = () => link.close('coordinator');
        this.#require()
          .submit(registration(message), before)
          .then((reply) => (reply.kind === 'refused' ? closed() : broken ? gone() : undefined), closed);
      },
    };
  }

  #receive(session: SessionId, link: Link, message: Exclude<AgentMessage, { kind: 'register' }>): void {
    switch (message.kind) {
      case 'heartbeat':
        return this.#post({ kind: 'heartbeat-received', session, tokens: message.tokens.map(tokenOf), credits: message.credits });
      case 'accept':
        return this.#post({ kind: 'offer-accepted', session, token: tokenOf(message.token) });
      case 'reject':
        return this.#post({ kind: 'offer-rejected', session, token: tokenOf(message.token), reason: message.reason });
      case 'running':
        return this.#post({ kind: 'attempt-started', session, token: tokenOf(message.token) });
      case 'finished':
        return this.#post({ kind: 'attempt-finished', session, token: tokenOf(message.token), report: message.report });
      case 'log':
        return link.toAgent({ kind: 'log-ack', token: message.token, offset: message.offset + message.length });
      case 'draining':
        return this.#post({ kind: 'agent-drained', session, reason: message.reason });
      case 'leaving':
        return this.#post({ kind: 'agent-left', session });
      default:
        return unreachable(message);
    }
  }

  #send(send: Outbound): void {
    this.#options.observe({ kind: 'sent', send });
    switch (send.kind) {
      case 'tell-agent': {
        const link = this.#sessions.get(send.session);
        if (link === undefined) return;
        if (send.message.kind === 'superseded') {
          this.#sessions.delete(send.session);
          return link.close('coordinator');
        }
        const message = this.#messageOf(send.message);
        return message === undefined ? undefined : link.toAgent(message);
      }
      case 'resolve':
        this.#after(this.#options.resolver.delayMs(), () => {
          const resolution = this.#options.resolver.resolve(send.step);
          if (resolution !== undefined) this.#post({ kind: 'step-resolved', step: send.step, resolution });
        });
        return;
      case 'publish':
        return this.#options.resolver.publish(send.step, send.action, send.result);
      case 'close-log':
      case 'forget-build':
        return;
      default:
        return unreachable(send);
    }
  }

  #messageOf(told: Exclude<Told, { kind: 'superseded' }>): CoordinatorMessage | undefined {
    switch (told.kind) {
      case 'registered':
        return {
          ...told,
          protocol: 1,
          logBytesMax: 2 ** 20,
          logWindowBytes: 2 ** 17,
          logs: [],
          serverTime: this.#options.world.clock.now(),
          dataAddress: 'sim',
        };
      case 'offer': {
        const { spec } = this.#options.stepPlan(told.step);
        const inputRoot = this.#options.resolver.inputRootOf(told.step);
        if (inputRoot === undefined) return undefined;
        const { command, env, passEnv, workingDirectory, outputs, resources, network, sandbox, sideEffects, runTimeoutMs, graceMs } = spec;
        const rest = { command, env, passEnv, workingDirectory, outputs, resources, network, sandbox, sideEffects, runTimeoutMs, graceMs };
        return { ...told, ...rest, build: buildOf(told.step), step: nameOf(told.step), inputRoot, instanceName: 'sim' };
      }
      default:
        return told;
    }
  }
}

function isState(record: { readonly kind: string }): record is LedgerRecord {
  return !record.kind.startsWith('log-');
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
