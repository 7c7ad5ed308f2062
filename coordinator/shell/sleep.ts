/** Runs `run` once after `delayMs` and returns what takes it back. The simulation has a time of its own. */
export type After = (delayMs: number, run: () => void) => () => void;

/** By the host's own timers. */
export const afterRealTime: After = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** Resolves after `ms`, or at once when the signal aborts; never rejects. */
export function sleep(ms: number, signal: AbortSignal, after: After = afterRealTime): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = after(ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
