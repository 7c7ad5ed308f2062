import { hostUptimeMs, type Clock } from '../../base/clock.ts';
import type { Deadline } from './deadline.ts';
import type { GuardedAttempt } from './watchdog.ts';

/** An attempt and the time at which the watchdog is to end it. */
export type Guard = { readonly id: string; readonly deadline: Deadline };

/** The attempts that have a deadline, as the watchdog is told of them. */
export interface Guards {
  readonly list: readonly GuardedAttempt[];
  /** Told at once; taken back, at once too, when the handle is disposed. */
  add(guard: Guard, launcher: number): GuardHandle;
}

export interface GuardHandle extends Disposable {
  /** Whether the deadline has passed: the watchdog may have ended the attempt, or be about to. */
  readonly overdue: boolean;
}

/** `changed` is called with every change of the list: once for all deadlines that one renewal moves. */
export function openGuards(clock: Clock, changed: () => void): Guards {
  const guarded = new Map<string, GuardedAttempt>();
  let owed = false;
  const flush = () => {
    if (!owed) return;
    owed = false;
    changed();
  };
  return {
    get list() {
      return [...guarded.values()];
    },
    add({ id, deadline }, launcher) {
      // As a time that both processes read from the same clock: a line that is read late says no less than one that is read at once.
      const place = () => guarded.set(id, { id, launcher, killAtUptimeMs: hostUptimeMs() + deadline.at - clock.monotonic() });
      const moves = deadline.onMove(() => {
        place();
        if (!owed) queueMicrotask(flush);
        owed = true;
      });
      place();
      changed();
      return {
        get overdue() {
          return hostUptimeMs() >= (guarded.get(id)?.killAtUptimeMs ?? Number.POSITIVE_INFINITY);
        },
        [Symbol.dispose]() {
          moves[Symbol.dispose]();
          guarded.delete(id);
          changed();
        },
      };
    },
  };
}
