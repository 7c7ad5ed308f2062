import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type BackoffPolicy } from '../../base/backoff.ts';
import type { Breaker } from '../../base/breaker.ts';
import type { Clock } from '../../base/clock.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';

const POLICY: BackoffPolicy = { initialMs: 50, maxMs: 2_000 };
/** A grant that has run out is soon followed by another, where the attempt still has its lease. */
const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'PEER_UNAVAILABLE',
  'STORE_UNAVAILABLE',
  'BUCKET_UNAVAILABLE',
  'DRAINING',
  'DEADLINE',
  'GRANT_EXPIRED',
]);

/** Whether the same call may succeed a little later. */
export function isPassing(error: unknown): boolean {
  return isFault(error) && PASSING.has(error.code);
}

export type RetryOptions = {
  readonly prng: Prng;
  readonly clock: Clock;
  /** How long a call is made again, from its first passing fault. */
  readonly patienceMs: number;
  /** Called before a further try, with the last one's error: where the server has moved, it may be found again. Does not throw. */
  readonly beforeRetry: (signal: AbortSignal, error: unknown) => Promise<void>;
  readonly guard: Guard | undefined;
};

/**
 * What keeps calls away from a server that is down. While it is open, callers with patience `wait` for it, without calling;
 * others are `refuse`d at once, with the time after which to come back.
 */
export type Guard = { readonly breaker: Breaker; readonly whileOpen: 'wait' | 'refuse' };

/** Tries of one call. */
export interface Tries {
  /** To be called before each try, and what it returns after it; the first word counts. @throws {Fault} while the server is left alone */
  begin(): (error?: unknown) => void;
  /** As `begin`, but waits for leave as after a failed try. @throws {Fault} as `failed` */
  admitted(signal: AbortSignal): Promise<(error?: unknown) => void>;
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

const UNGUARDED = () => {};

export function retrier({ prng, clock, patienceMs, beforeRetry, guard }: RetryOptions): Retrier {
  const tries = (): Tries => {
    let count = 0;
    let since: number | undefined;
    const own: Tries = {
      async admitted(signal) {
        for (;;) {
          try {
            return own.begin();
          } catch (error) {
            await own.failed(error, signal);
          }
        }
      },
      begin: () => guard?.breaker.begin() ?? UNGUARDED,
      progress() {
        count = 0;
        since = undefined;
      },
      async failed(error, signal) {
        const now = clock.monotonic();
        since ??= now;
        if (!isPassing(error) || signal.aborted || now - since >= patienceMs) throw error;
        const refusal = guard?.whileOpen === 'refuse' ? guard.breaker.refusal() : undefined;
        if (refusal !== undefined) throw refusal;
        count += 1;
        await sleep(backoffMs(POLICY, count, prng), undefined, { signal });
        await beforeRetry(signal, error);
      },
    };
    return own;
  };
  return {
    tries,
    async retrying(call, signal) {
      const own = tries();
      for (;;) {
        try {
          return await (guard === undefined ? call() : guard.breaker.run(call));
        } catch (error) {
          await own.failed(error, signal);
        }
      }
    },
  };
}
