import type { Clock } from '../../base/clock.ts';

/**
 * Wall-clock time as it was at the start, carried on by the monotonic clock: setting the host's clock expires no lease and
 * starts no wait again. Differs from the wall clock by as much as that was set since the process started.
 */
export function steadyClock(clock: Clock): Clock {
  const originMs = clock.now() - clock.monotonic();
  return { now: () => Math.floor(originMs + clock.monotonic()), monotonic: () => clock.monotonic() };
}
