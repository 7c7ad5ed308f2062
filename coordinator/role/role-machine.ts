import type { Env } from '../../base/env.ts';
import { Fault, wrap } from '../../base/fault.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import type { Leader, Ledger, SharedLedger } from '../ledger/ledger.ts';
import type { HintFeed } from '../shell/hint-feed.ts';
import { keepLeading, type Lead } from '../shell/leadership.ts';
import type { Shell } from '../shell/shell.ts';
import { sleep } from '../shell/sleep.ts';
import type { Role, RoleMachine } from './role.ts';

export type RoleLedger =
  | { readonly kind: 'shared'; readonly ledger: SharedLedger; readonly hints: HintFeed }
  | { readonly kind: 'own'; readonly ledger: Ledger };

export type RoleOptions = {
  /** A shared one is followed while another coordinator leads; on another one this process leads, or ends. */
  readonly ledger: RoleLedger;
  readonly ttlMs: number;
  readonly env: Env;
  /** Of the jitter; any whole number. */
  readonly seed: number;
  /** Recovers under the lead; gives up when the signal aborts. */
  readonly startShell: (lead: Lead, signal: AbortSignal) => Promise<Shell>;
  /** What runs beside the shell for as long as this coordinator leads. */
  readonly beside?: (shell: Shell) => AsyncDisposable;
};

/** Faults that end a term and not the process: the ledger has the truth, and it can be led or followed again. */
const PASSING: ReadonlySet<string> = new Set(['LEDGER_FENCED', 'LEDGER_UNAVAILABLE', 'DRAINING', 'CANCELLED']);
/** Shortest time between two tries to lead. */
const TRY_MS_MIN = 10;

/**
 * Begins as a follower that is a candidate: it looks every sixth of the term's time, with jitter, whether anybody leads, and at
 * once when the ledger hints that the leadership changed; where nobody does it takes the lead. A leader whose term is over
 * follows again, in the same process, once its shell has ended: there are never two.
 */
export function openRoleMachine(options: RoleOptions): RoleMachine {
  return new RunningRoles(options);
}

class RunningRoles implements RoleMachine {
  readonly ended: Promise<Fault | undefined>;
  readonly #options: RoleOptions;
  readonly #ledger: Ledger;
  readonly #stop = new AbortController();
  readonly #prng: Prng;
  readonly #end: (fault: Fault | undefined) => void;
  readonly #waiting = new Set<() => void>();
  #over = new AbortController();
  #role: Role = { kind: 'following', leader: undefined, over: this.#over.signal };
  #lead: Lead | undefined;
  #answeredAt: number;
  #running: Promise<void> = Promise.resolve();
  #self: Leader = { id: '', address: '' };
  #nudge: () => void = () => {};
  #isAway = false;

  constructor(options: RoleOptions) {
    this.#options = options;
    this.#ledger = options.ledger.ledger;
    this.#prng = prngFrom(options.seed);
    this.#answeredAt = options.env.clock.monotonic();
    const { promise, resolve } = Promise.withResolvers<Fault | undefined>();
    this.ended = promise;
    this.#end = resolve;
  }

  start(self: Leader): void {
    this.#self = self;
    this.#running = this.#run().then(
      () => this.#end(undefined),
      (error: unknown) => this.#end(wrap(error, 'Leading')),
    );
  }

  current(): Role {
    return this.#role;
  }

  get stopping(): AbortSignal {
    return this.#stop.signal;
  }

  get ledgerAnsweredAt(): number {
    return Math.max(this.#answeredAt, this.#lead?.confirmedAt ?? 0);
  }

  async known(waitMs: number, signal: AbortSignal): Promise<Role> {
    if (isKnown(this.#role)) return this.#role;
    const found = new AbortController();
    const look = () => {
      if (isKnown(this.#role)) found.abort();
    };
    this.#waiting.add(look);
    await sleep(waitMs, AbortSignal.any([signal, found.signal, this.#stop.signal]));
    this.#waiting.delete(look);
    return this.#role;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Fault('DRAINING', 'This coordinator is stopping'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { ledger } = this.#options;
    try {
      while (!this.#stop.signal.aborted) {
        const stopListening = ledger.kind === 'shared' ? ledger.hints.onLeadership(() => this.#nudge()) : () => {};
        const lead = await this.#candidate().finally(stopListening);
        if (lead !== undefined) await this.#leadUntilOver(lead);
      }
    } finally {
      this.#become({ kind: 'following', leader: undefined });
    }
  }

  /** Waits as a follower until the lead can be taken; undefined where the process stops. */
  async #candidate(): Promise<Lead | undefined> {
    const { ttlMs, ledger } = this.#options;
    while (!this.#stop.signal.aborted) {
      const nudged = new Promise<void>((resolve) => (this.#nudge = resolve));
      try {
        const lead = await this.#tryToLead();
        this.#isAway = false;
        if (lead !== undefined) return lead;
      } catch (error) {
        if (this.#stop.signal.aborted) return undefined;
        if (ledger.kind === 'own') throw error;
        if (!this.#isAway) this.#options.env.log.warn('ledger-away', { error });
        this.#isAway = true;
      }
      await sleep(TRY_MS_MIN, this.#stop.signal);
      const over = new AbortController();
      const lookMs = (ttlMs / 6) * (0.75 + this.#prng.next() / 2);
      await Promise.race([nudged, sleep(lookMs, AbortSignal.any([this.#stop.signal, over.signal]))]);
      over.abort();
    }
    return undefined;
  }

  async #tryToLead(): Promise<Lead | undefined> {
    const { ledger, ttlMs, env } = this.#options;
    const self = this.#self;
    const signal = AbortSignal.timeout(2 * ttlMs); // not that of the stop: a term whose answer is lost would keep others waiting
    const leader = ledger.kind === 'shared' ? await ledger.ledger.leader(signal) : undefined;
    this.#answeredAt = env.clock.monotonic();
    if (leader !== undefined && leader.id !== self.id) {
      this.#follow(leader);
      return undefined;
    }
    // Whoever led is not waited for, and nobody is sent there any more.
    if (this.#role.kind === 'following' && this.#role.leader !== undefined) this.#become({ kind: 'following', leader: undefined });
    if (this.#stop.signal.aborted) return undefined;
    const sentAt = env.clock.monotonic();
    const term = await this.#ledger.lead(self, ttlMs, signal);
    this.#answeredAt = env.clock.monotonic();
    if (term === undefined) return undefined;
    return keepLeading({ ledger: this.#ledger, contested: ledger.kind === 'shared', term, ttlMs, sentAt, env });
  }

  #follow(leader: Leader): void {
    const known = this.#role.kind === 'following' ? this.#role.leader : undefined;
    if (known?.id === leader.id && known.address === leader.address) return;
    this.#options.env.log.info('following', { leader: leader.id, address: leader.address });
    this.#become({ kind: 'following', leader });
  }

  /** @throws {Fault} where the process should end with the lead. */
  async #leadUntilOver(lead: Lead): Promise<void> {
    const { env, ledger, startShell, beside } = this.#options;
    this.#lead = lead;
    this.#become({ kind: 'following', leader: undefined });
    env.log.info('lead-taken', { term: lead.term.counter, incarnation: lead.term.incarnation });
    let shell: Shell | undefined;
    let running: AsyncDisposable | undefined;
    let fault: Fault | undefined;
    try {
      const startedAt = env.clock.monotonic();
      shell = await startShell(lead, AbortSignal.any([lead.lost, this.#stop.signal]));
      if (!lead.holds()) throw lead.lost.reason;
      env.log.info('leading', { term: lead.term.counter, recoveredInMs: Math.round(env.clock.monotonic() - startedAt) });
      running = beside?.(shell);
      this.#become({ kind: 'leading', shell });
      fault = await endOf(shell, lead, this.#stop.signal);
    } catch (error) {
      fault = wrap(error, 'Taking over');
    }
    this.#become({ kind: 'following', leader: undefined });
    const isOver = fault !== undefined && !this.#stop.signal.aborted;
    if (fault !== undefined && isOver) {
      lead.giveUp(fault); // from here on nothing is committed or delivered
      shell?.driver.stepDown(fault);
      env.log.warn('lead-over', { term: lead.term.counter, code: fault.code, error: fault });
    }
    await running?.[Symbol.asyncDispose]();
    if (!isOver && shell !== undefined) await this.#drain(lead, shell);
    await this.#leave(lead, shell);
    if (fault !== undefined && isOver && (ledger.kind === 'own' || !PASSING.has(fault.code))) throw fault;
  }

  /** What was applied is committed; a ledger that does not take it for a whole term is not waited for any longer. */
  async #drain(lead: Lead, shell: Shell): Promise<void> {
    const { env, ttlMs } = this.#options;
    const drained = new AbortController();
    const draining = shell.drain().finally(() => drained.abort());
    await Promise.race([draining, sleep(ttlMs, AbortSignal.any([drained.signal, lead.lost]))]);
    if (drained.signal.aborted) return draining;
    env.log.warn('not-drained', { term: lead.term.counter, afterMs: ttlMs });
    const fault = new Fault('LEDGER_UNAVAILABLE', 'The ledger did not take the last changes before this coordinator stopped');
    lead.giveUp(fault);
    shell.driver.stepDown(fault);
    draining.catch(() => {}); // it ends with the shell
  }

  /** The lead goes back to the ledger before the streams end, so that agents and callers find the next one at once. */
  async #leave(lead: Lead, shell: Shell | undefined): Promise<void> {
    const { env, ttlMs } = this.#options;
    await lead[Symbol.asyncDispose]();
    if (!lead.lost.aborted) {
      try {
        await this.#ledger.resign(lead.term, AbortSignal.timeout(ttlMs));
        env.log.info('lead-resigned', { term: lead.term.counter });
      } catch (error) {
        env.log.warn('term-not-resigned', { term: lead.term.counter, error });
      }
    }
    await shell?.[Symbol.asyncDispose]();
    this.#answeredAt = Math.max(this.#answeredAt, lead.confirmedAt);
    this.#lead = undefined;
  }

  #become(
    role: { readonly kind: 'leading'; readonly shell: Shell } | { readonly kind: 'following'; readonly leader: Leader | undefined },
  ): void {
    const before = this.#over;
    this.#over = new AbortController();
    this.#role = { ...role, over: this.#over.signal };
    before.abort();
    for (const look of this.#waiting) look();
  }
}

function isKnown(role: Role): boolean {
  return role.kind === 'leading' || role.leader !== undefined;
}

/** Why the lead is over; undefined where the process is to stop. */
async function endOf(shell: Shell, lead: Lead, stop: AbortSignal): Promise<Fault | undefined> {
  const { promise, resolve } = Promise.withResolvers<Fault | undefined>();
  const lost = () => resolve(wrap(lead.lost.reason, 'Keeping the lead'));
  const stopped = () => resolve(undefined);
  lead.lost.addEventListener('abort', lost, { once: true });
  stop.addEventListener('abort', stopped, { once: true });
  if (lead.lost.aborted) lost();
  if (stop.aborted) stopped();
  void shell.driver.ended.then(resolve);
  const fault = await promise;
  lead.lost.removeEventListener('abort', lost);
  stop.removeEventListener('abort', stopped);
  return fault;
}
