import type { Prng } from './prng.ts';

export type BackoffPolicy = {
  /** Ceiling of the first delay. */
  readonly initialMs: number;
  /** Ceiling of every delay. */
  readonly maxMs: number;
};

/**
 * Exponential backoff with full jitter: a delay drawn evenly from [0, min(maxMs, initialMs * 2^attempt)).
 * `attempt` counts from 0.
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, prng: Prng): number {
  const ceilingMs = Math.min(policy.maxMs, policy.initialMs * 2 ** Math.min(attempt, 30));
  return Math.floor(prng.next() * ceilingMs);
}
