import { backoffMs } from '../../base/backoff.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import type { Event } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import { sleep } from './sleep.ts';

/** Blobs that wait on the data plane's disk; and why nothing goes to the store, undefined while it answers. */
export type StagingNow = { readonly blobs: number; readonly away: string | undefined };

/** Finds out when what steps left is in the store. Answers each `seal` with one `step-sealed`, once the store has it or it is lost. */
export interface Sealer extends AsyncDisposable {
  seal(step: StepId): void;
  /** Steps whose outputs are staged only. */
  readonly waiting: number;
}

export type SealerOptions = {
  /** What waits on the data plane's disk. @default nothing ever does */
  readonly staging: ((signal: AbortSignal) => Promise<StagingNow>) | undefined;
  readonly post: (event: Event) => void;
  readonly log: Logger;
  readonly prng?: Prng;
};

const LOOK_AGAIN = { initialMs: 250, maxMs: 5_000 };

/**
 * Nothing is asked while no step waits. A step is done when nothing waits at the data plane any more, as long as that was asked after
 * the step was known to wait. What was lost meanwhile shows when its entry is written: that one is left out.
 */
export function openSealer({ staging, post, log, prng = prngFrom(process.pid) }: SealerOptions): Sealer {
  const waiting = new Set<StepId>();
  const closing = new AbortController();
  let running: Promise<void> | undefined;

  async function isStoreWhole(): Promise<boolean> {
    try {
      const now = await staging?.(closing.signal);
      return now === undefined || (now.blobs === 0 && now.away === undefined);
    } catch (error) {
      log.debug('staging-not-known', { error });
      return false;
    }
  }

  async function run(): Promise<void> {
    for (let looks = 0; waiting.size > 0 && !closing.signal.aborted; looks += 1) {
      const asked = [...waiting];
      if (!(await isStoreWhole())) {
        await sleep(100 + backoffMs(LOOK_AGAIN, Math.min(looks, 10), prng), closing.signal);
        continue;
      }
      if (closing.signal.aborted) return; // nobody is told: whoever leads next asks again
      for (const step of asked) {
        waiting.delete(step);
        post({ kind: 'step-sealed', step });
      }
      log.info('steps-sealed', { count: asked.length });
    }
  }

  return {
    get waiting() {
      return waiting.size;
    },
    seal(step) {
      waiting.add(step);
      running ??= run().finally(() => (running = undefined));
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
