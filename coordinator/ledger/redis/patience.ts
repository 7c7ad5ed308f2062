import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../../base/backoff.ts';
import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { prngFrom } from '../../../base/prng.ts';
import { isPassing, redisFault } from './faults.ts';

/** Tries again what fails for a reason that may pass. */
export interface Patience {
  /**
   * What `attempt` gives, tried until the monotonic time `until` says; that may move meanwhile.
   * @throws {Fault} what Redis said last, once the time is over or where trying again cannot help; CANCELLED with the signal.
   */
  persist<T>(attempt: () => Promise<T>, until: () => number, signal?: AbortSignal): Promise<T>;
  /** How often something was tried again. */
  retries(): number;
}

const BACKOFF = { initialMs: 10, maxMs: 250 };
/** Trouble that lasts for longer is told to the operator, and again after each `SAY_AGAIN_MS`. */
const SAY_AFTER_MS = 300;
const SAY_AGAIN_MS = 10_000;

export function openPatience(env: Env, where: string): Patience {
  const prng = prngFrom(randomInt(2 ** 48 - 1));
  let retries = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  const say = (error: unknown, sinceMs: number) => {
    const now = env.clock.monotonic();
    if (sinceMs < SAY_AFTER_MS || now - saidAt < SAY_AGAIN_MS) return;
    saidAt = now;
    env.log.warn('redis-refuses', { where, error: redisFault(error, where), forMs: Math.round(sinceMs) });
  };
  return {
    async persist(attempt, until, signal) {
      const startedAt = env.clock.monotonic();
      for (let tries = 0; ; tries += 1) {
        try {
          return await attempt();
        } catch (error) {
          say(error, env.clock.monotonic() - startedAt);
          const leftMs = until() - env.clock.monotonic();
          if (!isPassing(error) || leftMs <= 0) throw redisFault(error, where);
          retries += 1;
          // At least a moment, so that what fails at once is not asked thousands of times.
          await sleep(Math.min(leftMs, 1 + backoffMs(BACKOFF, tries, prng)));
        }
        if (signal?.aborted === true) throw new Fault('CANCELLED', 'The caller gave up before Redis answered', { cause: signal.reason });
      }
    },
    retries: () => retries,
  };
}
