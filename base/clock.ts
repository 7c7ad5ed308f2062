import { uptime } from 'node:os';

/** Milliseconds since the Unix epoch, a whole number. */
export type TimeMs = number;

/** Where a part gets its time from. Only this file reads the system's clocks. */
export interface Clock {
  /** Wall-clock time; may jump when the host's clock is set. */
  now(): TimeMs;
  /** Milliseconds from an arbitrary origin; never goes back. Use it for durations. */
  monotonic(): number;
}

/**
 * Milliseconds since the host was started, those in which it was suspended included; to a hundredth of a second. Unlike
 * monotonic time, the same number in every process of the host.
 */
export function hostUptimeMs(): number {
  return uptime() * 1_000;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
