import { Fault, isFault, wrap } from '../../base/fault.ts';
import type { Clock, TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import type { Event } from '../core/event.ts';
import type { Outbound, Outcome, Reply } from '../core/outcome.ts';
import type { LedgerRecord } from '../core/record.ts';
import type { GroupCommit } from '../ledger/group-commit.ts';
import type { LogRecord } from '../ledger/ledger.ts';
import { afterRealTime, type After } from './sleep.ts';

/** The part of the scheduler that changes. */
export type Core = { apply(event: Event, now: TimeMs): Outcome };

/**
 * Who carries out what the core decided. Called in the order of the decisions, and only once their writes are durable, but
 * for `resolve`: it only leads to another event, so it begins at once and its answer goes into the same commit if it can.
 */
export type Receivers = {
  /** The records of one outcome, just made durable. */
  committed(writes: readonly LedgerRecord[]): void;
  /** Never answers a `resolve` from within the call. */
  send(send: Outbound): void;
  /**
   * May be called ahead of `send`, while the commit is under way: for work that `send` would be late by. It leads to nothing
   * outside: the commit may fail. @default nothing is worked out ahead
   */
  prepare?(send: Outbound): void;
};

/**
 * Runs the core: every event is applied as it comes, its writes go into the next group commit, and its sends and its reply
 * leave only when that commit, and every one before it, is durable (`Receivers` has the exception). One timer brings `woke`
 * at the core's `wakeAt`.
 *
 * The driver ends for good when a commit fails or the core breaks an invariant: what was applied is then ahead of what is
 * durable, and only a restart from the ledger brings both together again.
 */
export interface Driver extends AsyncDisposable {
  /**
   * Applies the event; returns the core's reply once it is durable. `before` sees the reply ahead of the outcome's sends.
   * @throws {Fault} LEDGER_UNAVAILABLE where the driver has ended (whether the event counts is then unknown), DRAINING
   * while it is being disposed.
   */
  submit(event: Event, before?: (reply: Reply) => void): Promise<Reply>;
  /** As `submit`, for events that nobody waits for. */
  post(event: Event): void;
  /** Makes log records durable, in order with everything else. @throws {Fault} as `submit` */
  append(records: readonly LogRecord[]): Promise<void>;
  /** Returns when everything that was applied before the call is durable. @throws {Fault} as `submit` */
  settled(): Promise<void>;
  /** Ends the driver as a failed commit does: for whoever finds that this coordinator leads no more. */
  stepDown(fault: Fault): void;
  /** The time that events are stamped with. */
  now(): TimeMs;
  /** Outcomes whose commit is under way. */
  readonly backlog: number;
  /** For how long the oldest of them has waited for its commit, in milliseconds; 0 where none waits. */
  readonly behindMs: number;
  /** Resolves when the driver has ended: with the fault that ended it, or undefined after a disposal. */
  readonly ended: Promise<Fault | undefined>;
}

export type DriverOptions = {
  readonly core: Core;
  /** The first outcome: what recovery left to do. */
  readonly first: Outcome;
  readonly commits: GroupCommit;
  /** Must not go back; see `steadyClock`. */
  readonly clock: Clock;
  readonly env: Env;
  /**
   * Whether this coordinator leads at this moment (`Lead.holds`). Asked before an event is applied and before anything is
   * delivered; once it says no, the driver steps down. @default always
   */
  readonly holds?: () => boolean;
  /** Runs `run` once after `delayMs` and returns what takes it back; the simulation has a time of its own. @default setTimeout */
  readonly after?: After;
  /** Makes the receivers; they may submit events from within their methods. */
  readonly receivers: (driver: Driver) => Receivers;
};

type Entry = {
  readonly writes: readonly LedgerRecord[];
  readonly sends: readonly Outbound[];
  readonly settle: ((fault: Fault | undefined) => void) | undefined;
  /** Called once it is durable, before anything is sent. */
  readonly before: (() => void) | undefined;
  readonly since: TimeMs;
  durable: boolean;
};

/** Longest single wait of a timer; Node's own bound is a little above. */
const TIMER_MS_MAX = 2 ** 30;
const DONE: Reply = { kind: 'done' };
const NOTHING: readonly never[] = [];

/** Makes the receivers, and starts with the outcome of recovery. */
export function startDriver(options: DriverOptions): Driver {
  const driver = new RunningDriver(options);
  driver.start(options.receivers(driver), options.first);
  return driver;
}

const NOBODY: Receivers = { committed: () => {}, send: () => {} };

class RunningDriver implements Driver {
  readonly ended: Promise<Fault | undefined>;
  readonly #core: Core;
  readonly #commits: GroupCommit;
  readonly #clock: Clock;
  readonly #env: Env;
  #receivers: Receivers = NOBODY;
  readonly #end: (fault: Fault | undefined) => void;
  /** Outcomes in the order of their events, from the first that is not delivered yet. */
  #entries: Entry[] = [];
  #head = 0;
  #delivering = false;
  #fault: Fault | undefined;
  #draining = false;
  #wakeAt: TimeMs | undefined;
  readonly #after: After;
  readonly #holds: () => boolean;
  #timer: { readonly at: TimeMs; readonly cancel: () => void } | undefined;

  constructor(options: Omit<DriverOptions, 'first' | 'receivers'>) {
    this.#core = options.core;
    this.#commits = options.commits;
    this.#clock = options.clock;
    this.#env = options.env;
    this.#after = options.after ?? afterRealTime;
    this.#holds = options.holds ?? (() => true);
    const { promise, resolve } = Promise.withResolvers<Fault | undefined>();
    this.ended = promise;
    this.#end = resolve;
  }

  start(receivers: Receivers, first: Outcome): void {
    this.#receivers = receivers;
    this.#take(first, undefined);
  }

  get backlog(): number {
    return this.#entries.length - this.#head;
  }

  get behindMs(): number {
    const oldest = this.#entries[this.#head];
    return oldest === undefined ? 0 : Math.max(0, this.#clock.now() - oldest.since);
  }

  now(): TimeMs {
    return this.#clock.now();
  }

  submit(event: Event, before?: (reply: Reply) => void): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      reject(refusal);
      return promise;
    }
    const outcome = this.#apply(event);
    if (outcome === undefined) {
      reject(this.#ending());
      return promise;
    }
    const reply = outcome.reply ?? DONE;
    const settle = (fault: Fault | undefined) => (fault === undefined ? resolve(reply) : reject(fault));
    this.#take(outcome, settle, before && (() => before(reply)));
    return promise;
  }

  post(event: Event): void {
    if (this.#refusal() !== undefined) return;
    const outcome = this.#apply(event);
    if (outcome !== undefined) this.#take(outcome, undefined);
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      await this.#commits.commit(records);
    } catch (error) {
      this.stepDown(faultOf(error));
      throw this.#ending();
    }
  }

  settled(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!this.#leads()) reject(this.#ending());
    else {
      const settle = (fault: Fault | undefined) => (fault === undefined ? resolve() : reject(fault));
      this.#entries.push({ writes: NOTHING, sends: NOTHING, settle, before: undefined, since: this.#clock.now(), durable: true });
      this.#deliver();
    }
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#draining && this.#fault === undefined) {
      this.#draining = true;
      this.#disarm();
      await this.settled().catch(() => {}); // what ended it is reported by `ended`
    }
    this.#draining = true;
    await this.#commits[Symbol.asyncDispose]();
    this.#end(this.#fault);
  }

  #refusal(): Fault | undefined {
    if (!this.#leads()) return this.#ending();
    if (this.#draining) return new Fault('DRAINING', 'This coordinator is stopping', { retryAfterMs: 1_000 });
    return undefined;
  }

  /** Whether the driver goes on; it steps down where the lead is over. */
  #leads(): boolean {
    if (this.#fault !== undefined) return false;
    if (this.#holds()) return true;
    this.stepDown(new Fault('LEDGER_UNAVAILABLE', 'The term is over'));
    return false;
  }

  #ending(): Fault {
    const hint = 'Whether the last change counts is unknown: repeat it with the same key, or look.';
    return new Fault('LEDGER_UNAVAILABLE', 'This coordinator is stepping down', { hint, cause: this.#fault, retryAfterMs: 1_000 });
  }

  #apply(event: Event): Outcome | undefined {
    try {
      return this.#core.apply(event, this.#clock.now());
    } catch (error) {
      this.#env.log.error('core-failed', { event: event.kind, error });
      this.stepDown(wrap(error, `Applying ${event.kind}`));
      return undefined;
    }
  }

  #take(outcome: Outcome, settle: Entry['settle'], before?: Entry['before']): void {
    this.#wakeAt = outcome.wakeAt;
    this.#arm();
    const { writes, sends } = outcome;
    const entry: Entry = { writes, sends, settle, before, since: this.#clock.now(), durable: writes.length === 0 };
    this.#entries.push(entry);
    this.#resolve(outcome.sends);
    if (entry.durable) return this.#deliver();
    this.#commits.commit(outcome.writes).then(
      () => {
        entry.durable = true;
        this.#deliver();
      },
      (error: unknown) => this.stepDown(faultOf(error)),
    );
    // In the next turn: the commit is on its way to the ledger by then.
    if (this.#receivers.prepare !== undefined && sends.length > 0) setImmediate(() => this.#prepare(entry));
  }

  #prepare({ durable, sends }: Entry): void {
    if (durable || this.#fault !== undefined) return;
    try {
      for (const send of sends) this.#receivers.prepare?.(send);
    } catch (error) {
      this.#env.log.error('delivery-failed', { error });
      this.stepDown(wrap(error, 'Preparing'));
    }
  }

  #resolve(sends: readonly Outbound[]): void {
    try {
      for (const send of sends) if (send.kind === 'resolve') this.#receivers.send(send);
    } catch (error) {
      this.#env.log.error('delivery-failed', { error });
      this.stepDown(wrap(error, 'Delivering'));
    }
  }

  /** Delivers what is durable, in order. Receivers may submit meanwhile: that only lengthens the queue of this loop. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let entry = this.#entries[this.#head]; entry?.durable === true; entry = this.#entries[this.#head]) {
        if (!this.#leads()) break;
        this.#head += 1;
        if (this.#head >= 1_024 && this.#head * 2 >= this.#entries.length) {
          this.#entries = this.#entries.slice(this.#head);
          this.#head = 0;
        }
        entry.before?.();
        // Agents first: a step waits for nothing else any more.
        for (const send of entry.sends) if (send.kind === 'tell-agent') this.#receivers.send(send);
        if (entry.writes.length > 0) this.#receivers.committed(entry.writes);
        entry.settle?.(undefined);
        for (const send of entry.sends) if (send.kind !== 'resolve' && send.kind !== 'tell-agent') this.#receivers.send(send);
      }
    } catch (error) {
      this.#env.log.error('delivery-failed', { error });
      this.stepDown(wrap(error, 'Delivering'));
    } finally {
      this.#delivering = false;
    }
  }

  stepDown(fault: Fault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#env.log.error('coordinator-steps-down', { code: fault.code, error: fault });
    this.#disarm();
    for (const entry of this.#entries.splice(0).slice(this.#head)) entry.settle?.(this.#ending());
    this.#head = 0;
    this.#end(fault);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Sees to it that the timer rings at `#wakeAt` or before; one that rings too early arms itself again. */
  #arm(): void {
    const at = this.#wakeAt;
    if (at === undefined || this.#draining || this.#fault !== undefined) return;
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#disarm();
    const delayMs = Math.min(Math.max(0, at - this.#clock.now()), TIMER_MS_MAX);
    this.#timer = { at, cancel: this.#after(delayMs, () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = undefined;
    if (this.#wakeAt !== undefined && this.#clock.now() >= this.#wakeAt) this.post({ kind: 'woke' });
    else this.#arm();
  }
}

function faultOf(error: unknown): Fault {
  return isFault(error) ? error : wrap(error, 'Committing');
}
