import { backoffMs } from '../../base/backoff.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import { forEachWithin } from '../../cache/byte-budget.ts';
import type { Event } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import { sleep } from './sleep.ts';

/** Blobs that wait on the data plane's disk; and why nothing goes to the store, undefined while it answers. */
export type StagingNow = { readonly blobs: number; readonly away: string | undefined };

/**
 * Finds out when what steps left is in the store. Answers a `seal` with one `step-sealed` once the store has it, and not at all where it
 * does not come there: what is lost is not said to be safe.
 */
export interface Sealer extends AsyncDisposable {
  seal(step: StepId): void;
  /** Steps whose outputs are staged only. */
  readonly waiting: number;
}

export type SealerOptions = {
  /** What waits on the data plane's disk. @default nothing ever does */
  readonly staging: ((signal: AbortSignal) => Promise<StagingNow>) | undefined;
  /** Whether all that the step left is there for its build; true for one that left nothing or is no more. */
  readonly isThere: (step: StepId, signal: AbortSignal) => Promise<boolean>;
  readonly post: (event: Event) => void;
  readonly log: Logger;
  readonly prng?: Prng;
  /** Looks, with a store that answers, after which what is not there counts as lost with its host. @default 100, some four minutes */
  readonly looksMax?: number;
};

const LOOK_AGAIN = { initialMs: 250, maxMs: 5_000 };
/** Steps that are looked at together. */
const AT_ONCE = 16;

/** A step, and how often what it left was not in a store that answered. */
type Waiting = { readonly step: StepId; looks: number };

/**
 * Nothing is asked while no step waits. That nothing waits at this data plane does not say that the store has what a step left: another
 * host may have it on its disk, which is away or has not handed it over yet. So the store is asked for it, too.
 */
export function openSealer({ staging, isThere, post, log, prng = prngFrom(process.pid), looksMax = 100 }: SealerOptions): Sealer {
  const waiting = new Map<StepId, Waiting>();
  const closing = new AbortController();
  let running: Promise<void> | undefined;

  async function isStoreWhole(): Promise<boolean> {
    const now = await staging?.(closing.signal);
    return now === undefined || (now.blobs === 0 && now.away === undefined);
  }

  /** Of the steps those that are in the store; undefined while that cannot be said. */
  async function inStore(asked: readonly Waiting[]): Promise<ReadonlySet<Waiting> | undefined> {
    const there = new Set<Waiting>();
    const look = async (one: Waiting, signal: AbortSignal) => void ((await isThere(one.step, signal)) && there.add(one));
    try {
      if (!(await isStoreWhole())) return undefined;
      await forEachWithin(asked, AT_ONCE, () => 1, look, closing.signal);
      return (await isStoreWhole()) ? there : undefined; // else some of it may be here only
    } catch (error) {
      log.debug('staging-not-known', { error });
      return undefined;
    }
  }

  async function run(): Promise<void> {
    for (let looks = 0; waiting.size > 0 && !closing.signal.aborted; looks += 1) {
      const asked = [...waiting.values()];
      const there = await inStore(asked);
      if (closing.signal.aborted) return; // nobody is told: whoever leads next asks again
      // One that ran again meanwhile waits anew, for something else.
      const settled = there === undefined ? [] : asked.filter((one) => waiting.get(one.step) === one);
      const [sealed, absent] = [settled.filter((one) => there?.has(one)), settled.filter((one) => there?.has(one) !== true)];
      for (const one of absent) one.looks += 1;
      const lost = absent.filter((one) => one.looks >= looksMax); // whoever leads next looks again
      for (const { step } of [...sealed, ...lost]) waiting.delete(step);
      for (const { step } of sealed) post({ kind: 'step-sealed', step });
      if (sealed.length > 0) log.info('steps-sealed', { count: sealed.length });
      if (lost.length > 0) log.warn('steps-not-sealed', { count: lost.length, first: lost[0]?.step });
      if (waiting.size > 0) await sleep(100 + backoffMs(LOOK_AGAIN, Math.min(looks, 10), prng), closing.signal);
    }
  }

  return {
    get waiting() {
      return waiting.size;
    },
    seal(step) {
      waiting.set(step, { step, looks: 0 });
      running ??= run().finally(() => (running = undefined));
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
