import { backoffMs } from '../../base/backoff.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import type { StagingNow } from '../../cache/rpc/staging-service.ts';
import type { Event } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import { sleep } from './sleep.ts';

/** Finds out when what steps left is in the store. Answers each `seal` with one `step-sealed`, as soon as the store has it or it is lost. */
export interface Sealer extends AsyncDisposable {
  seal(step: StepId): void;
  /** Steps whose outputs are staged only. */
  readonly waiting: number;
}

export type SealerOptions = {
  /** What waits on the data plane's disk. @default nothing ever does */
  readonly staging: ((signal: AbortSignal) => Promise<Pick<StagingNow, 'blobs' | 'away'>>) | undefined;
  readonly post: (event: Event) => void;
  readonly log: Logger;
  readonly prng?: Prng;
};

const LOOK_AGAIN = { initialMs: 250, maxMs: 5_000 };

/**
 * Nothing is asked while no step waits. The data plane moves what came first first, so a step is done when nothing waits there any more, as
 * long as the question was asked after the step was known to wait. What was lost meanwhile shows when its entry is written: that one is left
 * out.
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
