import type { Clock } from './clock.ts';

/** How late this process' event loop is: work that takes long keeps everything else waiting for as long. */
export interface LoopLag extends Disposable {
  /** The longest lag of the last `windowMs`, in milliseconds, the one that is still going on included. */
  lagMs(): number;
}

export type LoopLagOptions = {
  readonly clock: Clock;
  /** Time between two looks. @default 500 ms */
  readonly everyMs?: number;
  /** For how long a lag counts. @default 10 s */
  readonly windowMs?: number;
};

/** Watches the event loop with a timer: it is late by as much as the loop was held up. */
export function watchLoopLag(options: LoopLagOptions): LoopLag {
  const { clock, everyMs = 500, windowMs = 10_000 } = options;
  let seen: { readonly at: number; readonly lagMs: number }[] = [];
  let dueAt = clock.monotonic() + everyMs;
  const look = () => {
    const now = clock.monotonic();
    seen.push({ at: now, lagMs: Math.max(0, now - dueAt) });
    seen = seen.filter(({ at }) => now - at <= windowMs);
    dueAt = now + everyMs;
  };
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    lagMs: () => {
      const now = clock.monotonic();
      const recent = seen.filter(({ at }) => now - at <= windowMs).map(({ lagMs }) => lagMs);
      return Math.round(Math.max(now - dueAt, 0, ...recent));
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
