import PQueue from 'p-queue';
import type { Logger } from '../../base/log.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { ActionResults } from '../../cache/rpc/client.ts';
import type { Digest } from '../../cache/digest.ts';
import type { StepId } from '../core/ids.ts';

/** Writes action-cache entries in the background. What fails is a later miss, never a held-up build. */
export interface Publisher extends AsyncDisposable {
  publish(step: StepId, action: Digest, result: StepResult): void;
  /** Entries written, failed, and given up unwritten because too many were waiting. */
  readonly counts: { readonly written: number; readonly failed: number; readonly dropped: number };
}

export type PublisherOptions = {
  /** The results of the step's own scope; undefined where its build has gone. */
  readonly actionsOf: (step: StepId) => ActionResults | undefined;
  readonly log: Logger;
  readonly deadlineMs?: number;
};

const CONCURRENCY = 16;
const WAITING_MAX = 10_000;
const DEADLINE_MS = 60_000;

export function openPublisher(options: PublisherOptions): Publisher {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const closing = new AbortController();
  const counts = { written: 0, failed: 0, dropped: 0 };
  const write = async (step: StepId, actions: ActionResults, action: Digest, result: StepResult): Promise<void> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS)]);
    try {
      await actions.put(action, result, signal);
      counts.written += 1;
    } catch (error) {
      counts.failed += 1;
      options.log.warn('result-not-published', { step, action, failed: counts.failed, error });
    }
  };
  return {
    counts,
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
