import { Fault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { Leader, Ledger, Term } from '../../coordinator/ledger/ledger.ts';
import type { Process } from './process.ts';
import type { Store } from './store.ts';
import type { World } from './world.ts';

export type LedgerLinkOptions = {
  readonly world: World;
  readonly store: Store;
  readonly process: Process;
  readonly prng: Prng;
  readonly delayMaxMs: number;
  /** Chance that a request or its answer is lost on the way. */
  readonly lost: () => number;
  /** Called right after the store has taken a commit, before anybody hears of it. */
  readonly afterCommit: () => void;
  /** The answers of the store are not believed where they say that the term is over: a link that is wrong on purpose. */
  readonly deafToFences: boolean;
};

/** A request on its way. */
type Request = { arrive: () => void; cancel: () => void };

const ANSWER_MS = 700;
const LATE_MS_MAX = 20_000;
const NEVER = new Promise<never>(() => {});

/**
 * A coordinator's connection to the store. As the Redis ledger does it, a request without an answer is sent again until the
 * term's own time is over, by the clock of the process; a commit that was applied the first time is recognised by its number.
 */
export class LedgerLink {
  readonly ledger: Ledger;
  readonly #options: LedgerLinkOptions;
  readonly #underWay = new Set<Request>();
  #number = 0;
  #commits = 0;
  /** When the term's own time is over. */
  #heldUntil = 0;
  /** Until when nothing gets from here to the store, and from the store to here. */
  cutUntil = { there: 0, back: 0 };

  constructor(options: LedgerLinkOptions) {
    this.#options = options;
    const none = () => Promise.reject(new Error('the simulation does not ask for it'));
    this.ledger = {
      traits: { durability: 'process', shared: true, groupRecordsMax: 64 },
      lead: (holder, ttlMs) => this.#lead(holder, ttlMs),
      renew: (term, ttlMs, signal) => this.#renew(term, ttlMs, signal),
      resign: (term) =>
        this.#call(
          () => options.store.resign(term),
          () => this.#heldUntil,
        ),
      commit: (term, records) => {
        this.#number += 1;
        this.#commits += 1;
        const number = this.#number;
        const apply = () => {
          if (options.store.commit(term, number, records)) options.afterCommit();
        };
        return this.#call(apply, () => this.#heldUntil).finally(() => (this.#commits -= 1));
      },
      load: () => this.#load(),
      events: none,
      log: none,
      incarnation: none,
      now: () =>
        this.#call(
          () => options.store.now(),
          () => this.#heldUntil,
        ),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  /** Who leads, as the store says. */
  leader(): Promise<Leader | undefined> {
    const { world, store } = this.#options;
    const until = world.now + 5_000;
    return this.#call(
      () => store.leader(),
      () => until,
    );
  }

  /** Whether a commit is under way. */
  get committing(): boolean {
    return this.#commits > 0;
  }

  /**
   * The process dies or stands still. What is on its way arrives now, or never, or when another term may be there; a dead
   * process hears of none of it.
   */
  cut(): void {
    const { world, prng } = this.#options;
    for (const request of [...this.#underWay]) {
      request.cancel();
      const fate = prng.below(3);
      world.trace(`ledger: what is under way is ${['done', 'lost', 'late'][fate]}`);
      if (fate === 1) continue;
      request.cancel = world.after(fate === 0 ? 0 : prng.below(LATE_MS_MAX), request.arrive);
    }
  }

  async #lead(holder: Leader, ttlMs: number): Promise<Term | undefined> {
    const { world, store } = this.#options;
    const startedAt = world.now;
    const until = startedAt + ttlMs;
    const term = await this.#call(
      () => store.lead(holder, ttlMs),
      () => until,
    );
    this.#number = 0;
    this.#heldUntil = until;
    return term;
  }

  async #renew(term: Term, ttlMs: number, signal: AbortSignal): Promise<void> {
    const { world, store } = this.#options;
    const startedAt = world.now;
    await this.#call(
      () => store.renew(term, ttlMs),
      () => this.#heldUntil,
      signal,
    );
    this.#heldUntil = startedAt + ttlMs;
  }

  async *#load(): AsyncGenerator<Awaited<ReturnType<Store['load']>>> {
    yield await this.#call(
      () => this.#options.store.load(),
      () => this.#heldUntil,
    );
  }

  /** @throws {Fault} what the store answers, and LEDGER_UNAVAILABLE where it answers nothing until the time is over. */
  #call<T>(apply: () => T, until: () => number, signal?: AbortSignal): Promise<T> {
    const { process, world, deafToFences } = this.#options;
    if (!process.alive) return NEVER;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let settled = false;
    const settle = (end: () => void) => {
      if (settled) return;
      settled = true;
      end();
    };
    const attempt = (count: number) => {
      if (settled) return;
      if (world.now >= until()) return settle(() => reject(unavailable()));
      this.#send(apply, (answer) => {
        if (answer.kind === 'done') return settle(() => resolve(answer.value));
        // A link that is broken on purpose takes a refusal for consent; nobody reads what a commit or renewal returns.
        if (deafToFences) return settle(() => resolve(undefined as T));
        settle(() => reject(answer.fault));
      });
      process.after(ANSWER_MS * Math.min(count, 3), () => attempt(count + 1));
    };
    signal?.addEventListener('abort', () => settle(() => reject(new Fault('CANCELLED', 'Given up'))), { once: true });
    attempt(1);
    return promise;
  }

  #send<T>(apply: () => T, answered: (answer: Answer<T>) => void): void {
    const { world, store, prng, delayMaxMs, lost } = this.#options;
    const { run } = store;
    const isLost = prng.next() < lost();
    const answerLost = prng.next() < lost();
    const arrive = () => {
      this.#underWay.delete(request);
      if (store.run !== run) return; // it was restarted meanwhile, and with it the connection
      if (world.now < this.cutUntil.there) return;
      if (world.now < store.downUntil) {
        // It hangs: what has reached it is done when it goes on, or not at all.
        if (prng.below(2) === 0) return;
        this.#underWay.add(request);
        request.cancel = world.after(store.downUntil - world.now, arrive);
        return;
      }
      world.promised();
      const answer = answerOf(apply);
      if (answerLost || world.now < this.cutUntil.back) return;
      world.after(prng.below(delayMaxMs + 1), () => {
        if (world.now >= this.cutUntil.back && store.run === run) this.#options.process.io(() => answered(answer));
      });
    };
    const request: Request = { arrive, cancel: () => {} };
    if (isLost) return;
    this.#underWay.add(request);
    request.cancel = world.after(prng.below(delayMaxMs + 1), arrive);
  }
}

type Answer<T> = { readonly kind: 'done'; readonly value: T } | { readonly kind: 'refused'; readonly fault: Fault };

function answerOf<T>(apply: () => T): Answer<T> {
  try {
    return { kind: 'done', value: apply() };
  } catch (error) {
    if (error instanceof Fault) return { kind: 'refused', fault: error };
    throw error;
  }
}

function unavailable(): Fault {
  return new Fault('LEDGER_UNAVAILABLE', 'The ledger did not answer while the term lasted');
}
