import type { Clock } from '../../base/clock.ts';
import { Fault, isFault, wrap } from '../../base/fault.ts';
import { silentLogger } from '../../base/log.ts';
import type { Prng } from '../../base/prng.ts';
import type { Event } from '../../coordinator/core/event.ts';
import type { Reply } from '../../coordinator/core/outcome.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import type { Term } from '../../coordinator/ledger/ledger.ts';
import { keepLeading } from '../../coordinator/shell/leadership.ts';
import { steadyClock } from '../../coordinator/shell/steady-clock.ts';
import { refuse, SimCoordinator, type CoordinatorOptions } from './coordinator.ts';
import { LedgerLink } from './ledger.ts';
import type { CoordinatorEnd, Link, Network } from './network.ts';
import type { Plan } from './plan.ts';
import { Process } from './process.ts';
import type { Store } from './store.ts';
import type { World } from './world.ts';

/** Ways in which a coordinator can be wrong on purpose. */
export type PeerBreaks = {
  /** It thinks that its term lasts until the ledger says otherwise. */
  readonly overconfident?: boolean;
  /** It takes every answer of the ledger for consent. */
  readonly deafToFences?: boolean;
};

export type PeerOptions = {
  readonly address: string;
  readonly world: World;
  readonly network: Network;
  readonly store: Store;
  readonly plan: Plan;
  readonly breaks: PeerBreaks;
  /** The coordinator at an address, for what only the leader can answer. */
  readonly peerAt: (address: string) => Peer | undefined;
  readonly faulty: () => boolean;
  readonly makeCore: (nonce: string) => SimCoordinator['core'];
  readonly leading: Pick<CoordinatorOptions, 'resolver' | 'stepPlan' | 'observe' | 'failed'>;
};

/** What is there while the process lives. */
type Life = { readonly process: Process; readonly link: LedgerLink; readonly clock: Clock; readonly id: string };

/**
 * A coordinator's host and the process on it: it follows until it gets the term, leads for as long as it keeps it, and
 * follows again. Following, it sends agents to whoever leads and passes calls on.
 */
export class Peer {
  readonly address: string;
  readonly #options: PeerOptions;
  readonly #prng: Prng;
  #lives = 0;
  #life: Life | undefined;
  #leading: SimCoordinator | undefined;
  #resigning = false;
  #nudge: () => void = () => {};

  constructor(options: PeerOptions) {
    this.address = options.address;
    this.#options = options;
    this.#prng = options.world.prng(`peer ${options.address}`);
  }

  get up(): boolean {
    return this.#life !== undefined;
  }

  get stalled(): boolean {
    return this.#life?.process.stalled === true;
  }

  /** What it runs while it leads. */
  get leading(): SimCoordinator | undefined {
    return this.#leading;
  }

  /** Whether it has no call to the ledger under way that a commit could be. */
  get quiet(): boolean {
    return this.#leading?.quiet === true && this.#life?.link.committing === false;
  }

  start(): void {
    if (this.#life !== undefined) return;
    const { world, network, store, plan, faulty, breaks } = this.#options;
    this.#lives += 1;
    const name = `${this.address} life ${this.#lives}`;
    const process = new Process(world);
    const chance = world.prng(`commits ${name}`);
    const link = new LedgerLink({
      world,
      store,
      process,
      prng: world.prng(`ledger ${name}`),
      delayMaxMs: plan.commitMaxMs,
      lost: () => (faulty() ? plan.ledgerLost : 0),
      afterCommit: () => {
        if (!faulty() || chance.next() >= plan.commitCrash) return;
        world.fault('crash right after a commit');
        this.crash();
      },
      deafToFences: breaks.deafToFences === true,
    });
    const life = { process, link, clock: this.#clockOf(name), id: name };
    this.#life = life;
    this.#resigning = false;
    network.listeners.set(this.address, (stream) => this.#accept(stream, process));
    world.promised();
    void this.#live(life);
  }

  /** Kill -9. It is started again after a while. */
  crash(): void {
    if (this.#life === undefined) return;
    this.#options.world.trace(`${this.address}: dies`);
    this.#end();
  }

  /** The process stands still; what it has sent to the ledger may arrive when another leads. */
  stall(forMs: number): void {
    if (this.#life === undefined || this.stalled) return;
    this.#options.world.trace(`${this.address}: stands still for ${forMs} ms${this.#leading === undefined ? '' : ', leading'}`);
    if (this.#prng.below(2) === 0) this.#life.link.cut();
    this.#life.process.stall(forMs, this.#prng.below(2) === 0 ? 'io' : 'timer');
  }

  wake(): void {
    this.#life?.process.wake('io');
    if (this.#life !== undefined) this.#life.link.cutUntil = { there: 0, back: 0 };
  }

  /** Nothing gets from here to the ledger, or back. */
  cutLedger(direction: 'there' | 'back', forMs: number): void {
    if (this.#life === undefined) return;
    const { world } = this.#options;
    world.trace(`${this.address}: its way ${direction === 'there' ? 'to' : 'from'} the ledger is cut for ${forMs} ms`);
    this.#life.link.cutUntil[direction] = world.now + forMs;
  }

  /** SIGTERM: a leader makes its decisions durable and hands the term back; then the process ends. */
  terminate(): void {
    const life = this.#life;
    if (life === undefined || this.#resigning) return;
    life.process.io(() => {
      this.#options.world.trace(`${this.address}: is told to end`);
      this.#resigning = true;
      const leading = this.#leading;
      if (leading === undefined) return this.#end();
      // Whoever runs it does not wait for ever.
      this.#options.world.after(10_000, () => void (this.#life === life && this.#end()));
      const { term } = leading.lead;
      leading
        .stop()
        .then(() => life.link.ledger.resign(term, new AbortController().signal))
        .then(
          () => this.#life === life && this.#end(),
          () => this.#life === life && this.#end(),
        );
    });
  }

  /** Somebody says that the leadership may have changed. */
  hint(): void {
    this.#life?.process.after(this.#prng.below(20), () => this.#nudge());
  }

  /** What a client or another coordinator asks. @throws {Fault} LEDGER_UNAVAILABLE, and as `Driver.submit` */
  call(event: Event, forwarded: boolean): Promise<Reply> {
    const life = this.#life;
    if (life === undefined) return Promise.reject(nobody());
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    life.process.io(() => {
      const leading = this.#leading;
      if (leading !== undefined) return void leading.submit(event).then(resolve, reject);
      if (forwarded) return reject(nobody());
      this.#forward(life, event).then(resolve, reject);
    });
    return promise;
  }

  async #forward({ link, process }: Life, event: Event): Promise<Reply> {
    const leader = await link.leader();
    const peer = leader === undefined || leader.address === this.address ? undefined : this.#options.peerAt(leader.address);
    if (peer === undefined) throw nobody();
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#options.world.after(this.#prng.below(20), () => {
      this.#options.world.promised();
      peer.call(event, true).then(
        (reply) => process.io(() => resolve(reply)),
        (error: unknown) => process.io(() => reject(error)),
      );
    });
    return promise;
  }

  #end(): void {
    const { network, world, faulty, plan } = this.#options;
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.process.kill();
    life.link.cut();
    network.listeners.delete(this.address);
    network.closeAll(this.address);
    this.#leading?.drop();
    this.#leading = undefined;
    const waitMs = this.#prng.below(2) === 0 ? this.#prng.below(500) : this.#prng.below(3 * plan.timings.leaseTtlMs);
    world.after(faulty() ? waitMs : 100, () => this.start());
  }

  /** The clock of the host during one life of the process: it is off, and once somebody sets it. */
  #clockOf(life: string): Clock {
    const { world, plan } = this.#options;
    const { clockSkewMsMax } = plan;
    const prng = world.prng(`clock ${life}`);
    const skew = () => prng.below(2 * clockSkewMsMax + 1) - clockSkewMsMax;
    const [before, after] = [skew(), skew()];
    const [bornAt, setAt] = [world.now - prng.below(1_000_000), world.now + prng.below(60_000)];
    if (clockSkewMsMax > 0) world.fault('a clock of a coordinator is off');
    return {
      now: () => world.clock.now() + (world.now < setAt ? before : after),
      monotonic: () => world.now - bornAt,
    };
  }

  /** Follows and leads in turn, for as long as the process lives. */
  async #live(life: Life): Promise<void> {
    const { plan } = this.#options;
    const { signal } = new AbortController();
    for (;;) {
      const ledSince = life.clock.monotonic();
      const term = await life.link.ledger.lead({ id: life.id, address: this.address }, plan.termTtlMs, signal).catch(unlessUnavailable);
      if (this.#resigning) return;
      if (term !== undefined) await this.#lead(life, term, ledSince);
      if (this.#resigning) return;
      await this.#pause(life, term === undefined ? plan.termTtlMs / 3 : 100);
    }
  }

  /** Leads until the term is over. */
  async #lead(life: Life, term: Term, sentAt: number): Promise<void> {
    const { world, plan, breaks, makeCore, leading: common } = this.#options;
    const { process, link, clock: hostClock } = life;
    await using lead = keepLeading({
      ledger: link.ledger,
      contested: true,
      term,
      ttlMs: plan.termTtlMs,
      sentAt,
      env: { log: silentLogger, clock: hostClock },
      after: (delayMs, run) => process.after(delayMs, run),
    });
    const records: LedgerRecord[] = [];
    const core = makeCore(term.nonce);
    let clock: Clock;
    try {
      const { signal } = new AbortController();
      for await (const batch of link.ledger.load(signal)) records.push(...batch);
      core.restore(records);
      clock = await steadyClock({ ledger: link.ledger, clock: hostClock, earliestMs: core.newestTime(), signal });
    } catch (error) {
      if (!isFault(error)) throw error;
      return;
    }
    if (lead.lost.aborted || this.#resigning) return;
    const holds = () => breaks.overconfident === true || lead.holds();
    const time = { clock, hostClock };
    const leading = new SimCoordinator({ ...common, ...time, world, process, ledger: link.ledger, term, records, holds, core });
    this.#leading = leading;
    lead.lost.addEventListener('abort', () => {
      world.trace(`${this.address}: leads no more`);
      if (breaks.overconfident !== true) leading.stepDown(wrap(lead.lost.reason, 'Keeping the lead'));
    });
    await leading.ended;
    if (this.#leading !== leading) return;
    leading.drop();
    this.#leading = undefined;
  }

  #pause(life: Life, forMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = life.process.after(forMs, resolve);
    this.#nudge = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  #accept(link: Link, process: Process): CoordinatorEnd {
    let end: CoordinatorEnd | undefined;
    process.io(() => {
      end = this.#leading?.accept(link) ?? this.#followerEnd(link);
      link.connected();
    });
    return { received: (message) => process.io(() => end?.received(message)), broke: () => process.io(() => end?.broke()) };
  }

  /** Every agent that registers is sent to the leader. */
  #followerEnd(link: Link): CoordinatorEnd {
    const none = (leaderAddress?: string) =>
      refuse(link, { retry: true, reason: 'another coordinator leads', ...(leaderAddress === undefined ? {} : { leaderAddress }) });
    return {
      broke: () => {},
      received: (message) => {
        if (message.kind !== 'register') return;
        this.#life?.link.leader().then(
          (leader) => none(leader?.address === this.address ? undefined : leader?.address),
          () => none(),
        );
      },
    };
  }
}

function nobody(): Fault {
  return new Fault('LEDGER_UNAVAILABLE', 'Nobody leads at the moment', { retryAfterMs: 1_000 });
}

function unlessUnavailable(error: unknown): undefined {
  if (!isFault(error)) throw error;
}
