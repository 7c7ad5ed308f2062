import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type BackoffPolicy } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';

const POLICY: BackoffPolicy = { initialMs: 50, maxMs: 2_000 };
const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>(['PEER_UNAVAILABLE', 'STORE_UNAVAILABLE', 'DRAINING']);

/** Whether the same call may succeed a little later. */
export function isPassing(error: unknown): boolean {
  return isFault(error) && PASSING.has(error.code);
}

export type RetryOptions = {
  readonly prng: Prng;
  readonly clock: Clock;
  /** How long a call is made again, from its first passing fault. */
  readonly patienceMs: number;
  /** Called before every further try: where the server has moved, it may be found again. Does not throw. */
  readonly beforeRetry: (signal: AbortSignal) => Promise<void>;
};

/** Tries of one call. */
export interface Tries {
  /** Progress was made: patience and waits begin anew. */
  progress(): void;
  /** After a failed try: waits and returns where `error` passes and patience is left, else throws `error`. */
  failed(error: unknown, signal: AbortSignal): Promise<void>;
}

/** How calls to one server are made again. */
export interface Retrier {
  /** Makes a call that may be made again, until it succeeds or fails for good. */
  retrying<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T>;
  tries(): Tries;
}

export function retrier({ prng, clock, patienceMs, beforeRetry }: RetryOptions): Retrier {
  const tries = (): Tries => {
    let count = 0;
    let since: number | undefined;
    return {
      progress() {
        count = 0;
        since = undefined;
      },
      async failed(error, signal) {
        const now = clock.monotonic();
        since ??= now;
        if (!isPassing(error) || signal.aborted || now - since >= patienceMs) throw error;
        count += 1;
        await sleep(backoffMs(POLICY, count, prng), undefined, { signal });
        await beforeRetry(signal);
      },
    };
  };
  return {
    tries,
    async retrying(call, signal) {
      const own = tries();
      for (;;) {
        try {
          return await call();
        } catch (error) {
          await own.failed(error, signal);
        }
      }
    },
  };
}
