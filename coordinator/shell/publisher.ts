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

/** An entry that is to be written. */
export type Publication = {
  readonly step: StepId;
  readonly action: Digest;
  readonly result: StepResult;
  /** An earlier leader may have written it. */
  readonly again: boolean;
};

/**
 * What became of it: `put-off` was not written in its time, or too many others were waiting, and may be tried later; `refused` never will
 * be.
 */
export type PublicationEnd = 'written' | 'put-off' | 'refused';

/** Writes action-cache entries in the background. What fails is a later miss, never a held-up build. */
export interface Publisher extends AsyncDisposable {
  /** `told` hears of its end once; never where the publisher is closed before, or the build has gone. */
  publish(publication: Publication, told?: (end: PublicationEnd) => void): void;
  /** Entries written, failed, and given up unwritten because too many were waiting. */
  readonly counts: { readonly written: number; readonly failed: number; readonly dropped: number };
  /** Entries that are not written yet. */
  readonly waiting: number;
}

export type PublisherOptions = {
  /** The results of the step's own scope; undefined where its build has gone. */
  readonly actionsOf: (step: StepId, again: boolean) => Pick<ActionResults, 'put'> | undefined;
  readonly log: Logger;
  readonly deadlineMs?: number;
  /** Entries that wait at most; what is more is dropped. */
  readonly waitingMax?: number;
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
  const { waitingMax = WAITING_MAX } = options;
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
  const write = async ({ step, action, result }: Publication, actions: Pick<ActionResults, 'put'>): Promise<PublicationEnd> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS)]);
    try {
      await untilBack(() => actions.put(action, result, signal), signal);
      counts.written += 1;
      return 'written';
    } catch (error) {
      counts.failed += 1;
      options.log.warn('result-not-published', { step, action, failed: counts.failed, error });
      return signal.aborted || (isFault(error) && PASSING.has(error.code)) ? 'put-off' : 'refused';
    }
  };
  return {
    counts,
    get waiting() {
      return queue.size + queue.pending;
    },
    publish(publication, told = () => {}) {
      const { step, action, again } = publication;
      const actions = options.actionsOf(step, again);
      if (actions === undefined) return;
      if (queue.size >= waitingMax) {
        counts.dropped += 1;
        options.log.warn('result-dropped', { step, action, dropped: counts.dropped });
        return queueMicrotask(() => told('put-off'));
      }
      void queue.add(async () => {
        const end = await write(publication, actions);
        if (end === 'written' || !closing.signal.aborted) told(end);
      });
    },
    /** Writes what is waiting, for as long as its deadline allows. */
    async [Symbol.asyncDispose]() {
      const give = setTimeout(() => closing.abort(), 2_000);
      await queue.onIdle();
      clearTimeout(give);
    },
  };
}
