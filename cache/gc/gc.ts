import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Prng } from '../../base/prng.ts';
import { Collector, newGcCounts, type CollectorOptions, type GcCounts, type GcPhase } from './collector.ts';
import { withClaim } from '../store-index/with-claim.ts';
import { markReferences } from './mark.ts';
import { scrub } from './scrub.ts';

export type GcOptions = CollectorOptions & {
  /** Between passes, with a quarter of it as jitter. @default 10 minutes */
  readonly everyMs?: number;
  /** Between scrubs, in which everything in the store is listed and references are counted anew. @default 1 day */
  readonly scrubEveryMs?: number;
  readonly prng: Prng;
};

/** What an operator may want to know. */
export type GcState = {
  readonly counts: Readonly<GcCounts>;
  /** When the last pass ended well, by the wall clock; undefined before the first. */
  readonly passedAt: number | undefined;
  /** When everything was last looked at and counted anew, and found right; by the wall clock. */
  readonly markedAt: number | undefined;
  readonly phaseMs: ReadonlyMap<GcPhase, number>;
  /** Packs whose count of references was found wrong. Not 0: nothing is condemned or deleted until a later count is right. */
  readonly mismatches: number;
  /** Why the last pass failed; undefined where it did not. */
  readonly lastError: string | undefined;
};

export interface Gc extends AsyncDisposable {
  state(): GcState;
}

const TASK = 'gc';
const EVERY_MS = 10 * 60_000;
const SCRUB_EVERY_MS = 24 * 3_600_000;
/** For so long nobody else begins after a collector was last heard of in the middle of its turn. */
const CLAIM_MS = 60_000;
/** How long the end of a process waits for the claim to be given back. */
const GIVE_BACK_MS = 2_000;

/** Collects garbage in the background until it is disposed of. Every data plane of a yard may do so: one of them works at a time. */
export function startGc(options: GcOptions): Gc {
  const { env, prng, everyMs = EVERY_MS } = options;
  const closing = new AbortController();
  const round = new Round(options);
  const run = async () => {
    while (!closing.signal.aborted) {
      await sleep(everyMs * (0.75 + prng.next() / 4), undefined, { signal: closing.signal, ref: false }).catch(() => {});
      if (!closing.signal.aborted) await round.run(closing.signal);
    }
  };
  const running = run();
  env.log.debug('gc-started', { everyMs });
  return {
    state: () => round.state(),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
      await round.giveBack();
    },
  };
}

/** One turn after the other: a pass, and a scrub when its time has come. */
export class Round {
  readonly #options: GcOptions;
  readonly #counts = newGcCounts();
  readonly #collector: Collector;
  readonly #holder = randomBytes(8).toString('hex');
  #hasClaim = false;
  #scrubbedAt: number | undefined;
  #passedAt: number | undefined;
  #markedAt: number | undefined;
  #mismatches = 0;
  #lastError: string | undefined;

  constructor(options: GcOptions) {
    this.#options = options;
    this.#collector = new Collector(options, this.#counts);
  }

  state(): GcState {
    const { phaseMs } = this.#collector;
    const at = { passedAt: this.#passedAt, markedAt: this.#markedAt };
    return { counts: this.#counts, ...at, phaseMs, mismatches: this.#mismatches, lastError: this.#lastError };
  }

  /**
   * Never rejects: what fails is logged, and tried again next time. Who has worked keeps the task until its next turn, so that it is
   * done once in that time, however many could; a collector that is killed holds others up no longer than that.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { index, env, everyMs = EVERY_MS } = this.#options;
    try {
      this.#hasClaim = false;
      const turn = async () => {
        this.#hasClaim = true;
        await this.#turn(signal);
        await index.claim(TASK, this.#holder, everyMs, signal);
      };
      await withClaim(index, { task: TASK, holder: this.#holder, leaseMs: CLAIM_MS }, turn, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#lastError = error instanceof Error ? error.message : String(error);
      env.log.warn('gc-failed', { error });
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { env } = this.#options;
    await this.#scrub(signal);
    if (this.#mismatches > 0) return;
    const before = { ...this.#counts };
    await this.#collector.pass(signal);
    const grew = (name: string, count: number) => name !== 'passes' && count > before[name as keyof GcCounts]; // its own keys
    const did = Object.entries(this.#counts).filter(([name, count]) => grew(name, count));
    if (did.length > 0) env.log.info('gc-passed', Object.fromEntries(did));
    this.#passedAt = env.clock.now();
    this.#lastError = undefined;
  }

  /** Lets the next one begin at once, be it this process after a restart. Never rejects: a claim that stays is over by itself. */
  async giveBack(): Promise<void> {
    const { index, env } = this.#options;
    if (!this.#hasClaim) return;
    this.#hasClaim = false;
    try {
      await index.claim(TASK, this.#holder, 0, AbortSignal.timeout(GIVE_BACK_MS));
    } catch (error) {
      env.log.debug('gc-claim-left', { error });
    }
  }

  async #scrub(signal: AbortSignal): Promise<void> {
    const { index, env, scrubEveryMs = SCRUB_EVERY_MS } = this.#options;
    const now = env.clock.monotonic();
    const isDue = this.#scrubbedAt === undefined || now - this.#scrubbedAt >= scrubEveryMs || this.#mismatches > 0;
    if (!isDue) return;
    const epoch = await this.#collector.ready(signal);
    if (epoch === undefined) return;
    const wrong = await markReferences(index, signal);
    const markedAt = this.#collector.spent('mark', now);
    this.#mismatches = wrong.length;
    if (wrong.length > 0) {
      // Nothing goes by counts that are known to be wrong: a new epoch, and with it a rebuild, counts them anew.
      env.log.error('gc-references-wrong', { packs: wrong.length, first: wrong.slice(0, 10) });
      return;
    }
    await scrub(this.#collector, epoch, signal);
    this.#collector.spent('scrub', markedAt);
    this.#scrubbedAt = now;
    this.#markedAt = env.clock.now();
  }
}
