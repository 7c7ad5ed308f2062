import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type BackoffPolicy } from '../../base/backoff.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';

/** How often a call is made again while the data plane cannot be reached; about half a minute in all. */
const ATTEMPTS_MAX = 36;
const POLICY: BackoffPolicy = { initialMs: 50, maxMs: 2_000 };
const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>(['PEER_UNAVAILABLE', 'STORE_UNAVAILABLE', 'DRAINING']);

/** Whether the same call may succeed a little later. */
export function isPassing(error: unknown): boolean {
  return isFault(error) && PASSING.has(error.code);
}

/** Waits before attempt number `attempt` (from 1); false when there were enough. */
export async function waitToRetry(attempt: number, prng: Prng, signal: AbortSignal): Promise<boolean> {
  if (attempt >= ATTEMPTS_MAX || signal.aborted) return false;
  await sleep(backoffMs(POLICY, attempt, prng), undefined, { signal });
  return true;
}

/** Makes a call that may be made again, until it succeeds or fails for good. */
export async function retrying<T>(call: () => Promise<T>, prng: Prng, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error) || !(await waitToRetry(attempt, prng, signal))) throw error;
    }
  }
}
