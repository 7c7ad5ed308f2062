import { randomInt } from 'node:crypto';
import PQueue from 'p-queue';
import { backoffMs } from '../../base/backoff.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { ActionResults } from '../../cache/rpc/client.ts';
import type { Digest } from '../../cache/digest.ts';
import type { StepId } from '../core/ids.ts';
import { sleep } from './sleep.ts';

/** Writes action-cache entries in the background. What fails is a later miss, never a held-up build. */
export interface Publisher extends AsyncDisposable {
  publish(step: StepId, action: Digest, result: StepResult): void;
  /** Entries written, failed, and given up unwritten because too many were waiting. */
  readonly counts: { readonly written: number; readonly failed: number; readonly dropped: number };
  /** Entries that are not written yet. */
  readonly waiting: number;
}

export type PublisherOptions = {
  /** The results of the step's own scope; undefined where its build has gone. */
  readonly actionsOf: (step: StepId) => Pick<ActionResults, 'put'> | undefined;
  readonly log: Logger;
  readonly deadlineMs?: number;
};

const CONCURRENCY = 16;
const WAITING_MAX = 10_000;
const DEADLINE_MS = 60_000;
/** Faults of a store that may be back soon. */
const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'STORE_UNAVAILABLE',
  'BUCKET_UNAVAILABLE',
  'PEER_UNAVAILABLE',
  'DRAINING',
  'DEADLINE',
]);
const TRY_AGAIN = { initialMs: 250, maxMs: 5_000 };

export function openPublisher(options: PublisherOptions): Publisher {
  const prng = prngFrom(randomInt(2 ** 47));
  /** The store may be left alone at the moment: an entry is worth the wait, as far as its deadline goes. */
  const untilBack = async (put: () => Promise<void>, signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await put();
      } catch (error) {
        if (!isFault(error) || !PASSING.has(error.code) || signal.aborted) throw error;
        await sleep((error.retryAfterMs ?? 0) + backoffMs(TRY_AGAIN, attempt, prng), signal);
      }
    }
  };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const closing = new AbortController();
  const counts = { written: 0, failed: 0, dropped: 0 };
  const write = async (step: StepId, actions: Pick<ActionResults, 'put'>, action: Digest, result: StepResult): Promise<void> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS)]);
    try {
      await untilBack(() => actions.put(action, result, signal), signal);
      counts.written += 1;
    } catch (error) {
      counts.failed += 1;
      options.log.warn('result-not-published', { step, action, failed: counts.failed, error });
    }
  };
  return {
    counts,
    get waiting() {
      return queue.size + queue.pending;
    },
    publish(step, action, result) {
      const actions = options.actionsOf(step);
      if (actions === undefined) return;
      if (queue.size >= WAITING_MAX) {
        counts.dropped += 1;
        options.log.warn('result-dropped', { step, action, dropped: counts.dropped });
        return;
      }
      void queue.add(() => write(step, actions, action, result));
    },
    /** Writes what is waiting, for as long as its deadline allows. */
    async [Symbol.asyncDispose]() {
      const give = setTimeout(() => closing.abort(), 2_000);
      await queue.onIdle();
      clearTimeout(give);
    },
  };
}
