/** Milliseconds since the Unix epoch, a whole number. */
export type TimeMs = number;

/** Where a part gets its time from. Only this file reads the system's clocks. */
export interface Clock {
  /** Wall-clock time; may jump when the host's clock is set. */
  now(): TimeMs;
  /** Milliseconds from an arbitrary origin; never goes back. Use it for durations. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
