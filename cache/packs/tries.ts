import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';

const BACKOFF = { initialMs: 100, maxMs: 2_000 };

/** Whether the same may succeed later: the endpoint or the index was not reachable, or refused for now. */
export function isPassing(error: unknown): boolean {
  return isFault(error, 'STORE_UNAVAILABLE');
}

/**
 * Runs `work` up to `count` times, with growing delays, as long as it fails in a way that may pass.
 * `onRetry` hears of each failure that is followed by another try.
 * @throws {Fault} the last failure; CANCELLED or the signal's reason while waiting
 */
export async function inTries<T>(
  count: number,
  work: (attempt: number) => Promise<T>,
  options: { readonly prng: Prng; readonly signal: AbortSignal; readonly onRetry?: (error: unknown) => void },
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      options.signal.throwIfAborted();
      if (attempt + 1 >= count || !isPassing(error)) throw error;
      options.onRetry?.(error);
      await sleep(backoffMs(BACKOFF, attempt, options.prng) + 10, undefined, { signal: options.signal });
    }
  }
}

/** `work`'s end, or the end of the caller's patience, whichever comes first. `work` goes on for others. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
