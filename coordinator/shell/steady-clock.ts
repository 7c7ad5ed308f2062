import type { Clock, TimeMs } from '../../base/clock.ts';

/**
 * Wall-clock time as it was at the start, carried on by the monotonic clock: setting the host's clock expires no lease and
 * starts no wait again. Differs from the wall clock by as much as that was set since the process started. It starts at
 * `earliestMs` where the wall clock has been set back to before that.
 */
export function steadyClock(clock: Clock, earliestMs: TimeMs): Clock {
  const originMs = Math.max(clock.now(), earliestMs) - clock.monotonic();
  return { now: () => Math.floor(originMs + clock.monotonic()), monotonic: () => clock.monotonic() };
}
