import { backoffMs } from './backoff.ts';
import type { Clock, TimeMs } from './clock.ts';
import { Fault, isFault, type FaultCode } from './fault.ts';
import { formatDurationMs, formatInstant } from './quantity.ts';
import type { Prng } from './prng.ts';

/** When a breaker opens, and for how long. */
export type BreakerRules = {
  /** Faults in a row that open it. */
  readonly faultsInRow: number;
  /** Or this part (0 to 1) of the calls that ended in the newest `windowMs`, once there were `windowCallsMin` of them. */
  readonly faultRate: number;
  readonly windowMs: number;
  readonly windowCallsMin: number;
  /** Ceiling of the first open time, and of every one; it doubles each time. Half of it is sure, the rest drawn. */
  readonly openMs: { readonly initial: number; readonly max: number };
};

export const BREAKER_RULES: BreakerRules = {
  faultsInRow: 5,
  faultRate: 0.5,
  windowMs: 10_000,
  windowCallsMin: 20,
  openMs: { initial: 1_000, max: 10_000 },
};

export type BreakerKind = 'closed' | 'open' | 'half-open';

/** How a call ended, as far as the dependency is concerned: `unknown` says nothing about it (the caller gave up). */
export type CallEnd = { readonly kind: 'well' } | { readonly kind: 'fault'; readonly message: string } | { readonly kind: 'unknown' };

/** The right to make one call; `state` is what the breaker was when it was given. */
export type Admission = { readonly round: number; readonly isProbe: boolean };

/**
 * Closed: everything passes. It opens after too many faults; then nothing passes until the open time is over, and one
 * call alone is let through to see. That one closes it, or opens it for longer. Times are of one clock that never goes back.
 */
export class BreakerCore {
  readonly #rules: BreakerRules;
  readonly #prng: Prng;
  #kind: BreakerKind = 'closed';
  #since: number;
  #openUntil = 0;
  #probing = false;
  /** Counts changes of state: what began before the newest one has no say any more. */
  #round = 0;
  #trips = 0;
  #inRow = 0;
  #lastFault: { readonly message: string; readonly at: number } | undefined;
  /** Calls and faults of the current window and of the one before it. */
  #window = { from: 0, calls: 0, faults: 0 };
  #before = { calls: 0, faults: 0 };
  readonly counts = { opened: 0, faults: 0, refused: 0, passed: 0 };

  constructor(rules: BreakerRules, prng: Prng, now: number) {
    this.#rules = rules;
    this.#prng = prng;
    this.#since = now;
  }

  /** Leave for a call; undefined where none may be made now. Each admission is to be settled once. */
  admit(now: number): Admission | undefined {
    if (this.#kind === 'open' && now >= this.#openUntil) this.#become('half-open', now);
    if (this.#kind === 'closed') return this.#pass(false);
    if (this.#kind === 'half-open' && !this.#probing) {
      this.#probing = true;
      return this.#pass(true);
    }
    this.counts.refused += 1;
    return undefined;
  }

  #pass(isProbe: boolean): Admission {
    this.counts.passed += 1;
    return { round: this.#round, isProbe };
  }

  settle(admission: Admission, end: CallEnd, now: number): void {
    if (end.kind === 'fault') {
      this.counts.faults += 1;
      this.#lastFault = { message: end.message, at: now };
    }
    if (admission.round !== this.#round) return;
    if (admission.isProbe) {
      this.#probing = false;
      if (end.kind === 'fault') this.#open(now);
      if (end.kind === 'well') this.#close(now);
      return;
    }
    if (end.kind === 'unknown') return;
    this.#count(end.kind === 'fault', now);
    if (end.kind === 'fault' && this.#isTooMuch()) this.#open(now);
  }

  #count(fault: boolean, now: number): void {
    const half = this.#rules.windowMs / 2;
    if (now - this.#window.from >= half) {
      this.#before = now - this.#window.from >= this.#rules.windowMs ? { calls: 0, faults: 0 } : this.#window;
      this.#window = { from: now, calls: 0, faults: 0 };
    }
    this.#window.calls += 1;
    this.#window.faults += fault ? 1 : 0;
    this.#inRow = fault ? this.#inRow + 1 : 0;
    // Well for a whole window: what was before is no reason to stay away for longer the next time.
    if (!fault && now - this.#since >= this.#rules.windowMs) this.#trips = 0;
  }

  #isTooMuch(): boolean {
    if (this.#inRow >= this.#rules.faultsInRow) return true;
    const calls = this.#window.calls + this.#before.calls;
    const faults = this.#window.faults + this.#before.faults;
    return calls >= this.#rules.windowCallsMin && faults >= calls * this.#rules.faultRate;
  }

  #open(now: number): void {
    const { initial, max } = this.#rules.openMs;
    const ceilingMs = Math.min(max, initial * 2 ** Math.min(this.#trips, 30));
    this.#trips += 1;
    this.counts.opened += this.#kind === 'closed' ? 1 : 0;
    this.#openUntil = now + ceilingMs / 2 + backoffMs({ initialMs: ceilingMs / 2, maxMs: ceilingMs / 2 }, 0, this.#prng);
    // A failed probe does not begin a new outage: it is out of order since it was.
    this.#become('open', this.#kind === 'half-open' ? this.#since : now);
  }

  #close(now: number): void {
    this.#inRow = 0;
    this.#before = { calls: 0, faults: 0 };
    this.#window = { from: now, calls: 0, faults: 0 };
    this.#become('closed', now);
  }

  #become(kind: BreakerKind, since: number): void {
    // Half open is still the same outage.
    if (kind !== 'half-open') this.#since = since;
    this.#kind = kind;
    this.#round += 1;
    this.#probing = false;
  }

  /** `since`: when it closed or opened. `openForMs`: until the next probe; 0 where one may be made or is under way. */
  state(now: number): { kind: BreakerKind; since: number; openForMs: number; faultsInRow: number; lastFault: string | undefined } {
    const openForMs = this.#kind === 'open' ? Math.max(0, this.#openUntil - now) : 0;
    return { kind: this.#kind, since: this.#since, openForMs, faultsInRow: this.#inRow, lastFault: this.#lastFault?.message };
  }
}

/** A breaker as operators see it. */
export type BreakerView = {
  /** When this was looked at. */
  readonly at: TimeMs;
  readonly dependency: string;
  readonly kind: BreakerKind;
  /** When it got into (or out of) order. */
  readonly since: TimeMs;
  /** Until one call may see whether the dependency is back. */
  readonly openForMs: number;
  readonly lastFault: string | undefined;
  /** Of what has one: where it is, and how well it answers, for people. */
  readonly detail?: string;
  readonly counts: { readonly opened: number; readonly faults: number; readonly refused: number; readonly passed: number };
};

/** Stands between us and a dependency that may be down: after some faults it is left alone, but for a probe now and then. */
export interface Breaker {
  /**
   * Makes the call. Only faults of the dependency count against it: what the caller did wrong is an answer like any other.
   * @throws {Fault} STORE_UNAVAILABLE or whatever `refusal` says, at once and without a call while it is open
   */
  run<T>(call: () => Promise<T>): Promise<T>;
  /** For calls that are no promise: leave to make one, and what to say when it has ended. @throws {Fault} as `run` */
  begin(): (error?: unknown) => void;
  /** What a call would be refused with right now; undefined where it may pass. Asking is no call. */
  refusal(): Fault | undefined;
  view(): BreakerView;
}

export type BreakerOptions = {
  /** What the dependency is called in messages and metrics (`store`). */
  readonly dependency: string;
  /** The fault that refused calls get. */
  readonly code: FaultCode;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly rules?: Partial<BreakerRules>;
  /** Hears of each change of state. */
  readonly onChange?: (view: BreakerView) => void;
};

/** Faults that speak of the dependency and not of the request. */
const COUNTED: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'PEER_UNAVAILABLE',
  'STORE_UNAVAILABLE',
  'LEDGER_UNAVAILABLE',
  'DRAINING',
  'DEADLINE',
]);
/** Half open and the probe under way: come back about then. */
const PROBING_MS = 250;

export function openBreaker(options: BreakerOptions): Breaker {
  const { clock, dependency, onChange } = options;
  const core = new BreakerCore({ ...BREAKER_RULES, ...options.rules }, options.prng, clock.monotonic());
  const view = (): BreakerView => {
    const now = clock.monotonic();
    const { kind, since, openForMs, lastFault } = core.state(now);
    return {
      at: clock.now(),
      dependency,
      kind,
      since: Math.round(clock.now() - (now - since)),
      openForMs: Math.ceil(openForMs),
      lastFault,
      counts: { ...core.counts },
    };
  };
  const refused = (): Fault => {
    const { since, openForMs, lastFault = 'it could not be reached' } = view();
    const text = `The ${dependency} is left alone since ${formatInstant(since)}: ${lastFault}`;
    return new Fault(options.code, text, {
      retryAfterMs: Math.max(PROBING_MS, openForMs),
      hint: `It is tried again ${openForMs === 0 ? 'right now' : `in ${formatDurationMs(openForMs)}`}.`,
    });
  };
  const begin = () => {
    const before = core.state(clock.monotonic()).kind;
    const admission = core.admit(clock.monotonic());
    if (admission === undefined) throw refused();
    if (before !== 'half-open' && admission.isProbe) onChange?.(view());
    let isOpen = true;
    return (error?: unknown) => {
      if (!isOpen) return;
      isOpen = false;
      const kind = core.state(clock.monotonic()).kind;
      core.settle(admission, endOf(error), clock.monotonic());
      if (core.state(clock.monotonic()).kind !== kind) onChange?.(view());
    };
  };
  return {
    begin,
    view,
    refusal() {
      const { kind, openForMs } = core.state(clock.monotonic());
      return kind === 'open' && openForMs > 0 ? refused() : undefined;
    },
    async run(call) {
      const end = begin();
      try {
        const value = await call();
        end();
        return value;
      } catch (error) {
        end(error);
        throw error;
      }
    },
  };
}

const LATE: CallEnd = { kind: 'fault', message: 'no answer in time' };

/** What `AbortSignal.timeout` aborts with. */
function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

function endOf(error: unknown): CallEnd {
  if (error === undefined) return { kind: 'well' };
  if (isFault(error)) {
    if (COUNTED.has(error.code)) return { kind: 'fault', message: error.message };
    // A call that its caller gave up says nothing, unless it was given up for want of an answer.
    if (error.code === 'CANCELLED') return isTimeout(error.cause) ? LATE : { kind: 'unknown' };
    return { kind: 'well' };
  }
  // Whatever else was thrown comes from our own side of the call: a time-out of it counts, a bug does not.
  return isTimeout(error) ? LATE : { kind: 'unknown' };
}
