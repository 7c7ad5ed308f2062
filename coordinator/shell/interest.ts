import type { Clock, TimeMs } from '../../base/clock.ts';
import type { BuildId } from '../core/ids.ts';
import type { CoreView } from './core-view.ts';
import type { Driver } from './driver.ts';

/** Who waits for the actions of build tools. A tool that was stopped just goes, and tells nobody. */
export interface Interest {
  /** Somebody waits for the build until this is disposed of. */
  hold(build: BuildId): Disposable;
  /** Somebody has asked for the build just now. */
  touch(build: BuildId): void;
  /** When somebody last waited, by the monotonic clock; undefined where nobody did that is remembered. */
  lastSeen(build: BuildId): TimeMs | undefined;
  /** Forgets all builds but these. */
  keepOnly(builds: ReadonlySet<BuildId>): void;
}

export function openInterest(clock: Clock): Interest {
  const waits = new Map<BuildId, { waiting: number; leftAt: TimeMs }>();
  const of = (build: BuildId) => {
    let known = waits.get(build);
    if (known === undefined) waits.set(build, (known = { waiting: 0, leftAt: clock.monotonic() }));
    return known;
  };
  return {
    hold(build) {
      const wait = of(build);
      wait.waiting += 1;
      return {
        [Symbol.dispose]() {
          wait.waiting -= 1;
          wait.leftAt = clock.monotonic();
        },
      };
    },
    touch: (build) => void (of(build).leftAt = clock.monotonic()),
    lastSeen(build) {
      const wait = waits.get(build);
      return wait === undefined || wait.waiting === 0 ? wait?.leftAt : clock.monotonic();
    },
    keepOnly(builds) {
      for (const [build, { waiting }] of waits) if (waiting === 0 && !builds.has(build)) waits.delete(build);
    },
  };
}

export type AbandonedOptions = {
  readonly core: Pick<CoreView, 'builds'>;
  readonly driver: Pick<Driver, 'submit'>;
  readonly interest: Interest;
  /** How long an action goes on that nobody waits for. */
  readonly abandonMs: number;
  readonly clock: Clock;
};

/** By whom abandoned actions are cancelled. */
const BY = 'switchyard';

/**
 * Cancels what build tools have begun and nobody waits for any more. What a coordinator finds when it begins to lead has the whole
 * time anew: whoever waited for it elsewhere is on the way here.
 */
export function startAbandoning(options: AbandonedOptions): Disposable {
  const { clock, abandonMs } = options;
  const begunAt = clock.monotonic();
  const timer = setInterval(() => sweep(options, begunAt), Math.max(50, abandonMs / 4));
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function sweep({ core, driver, interest, abandonMs, clock }: AbandonedOptions, begunAt: TimeMs): void {
  const now = clock.monotonic();
  const underWay = new Set<BuildId>();
  for (const { record, state } of core.builds({ phase: 'running', actions: true, limit: Number.MAX_SAFE_INTEGER })) {
    if (state.kind === 'running' && state.cancelling !== undefined) continue;
    underWay.add(record.id);
    if (now - (interest.lastSeen(record.id) ?? begunAt) < abandonMs) continue;
    const reason = `nobody has waited for it for ${Math.round(abandonMs / 1_000)} s`;
    // A driver that takes nothing more is one whose coordinator leads no more: the next one looks for itself.
    driver.submit({ kind: 'build-cancelled', id: record.id, by: BY, reason }).catch(() => {});
  }
  interest.keepOnly(underWay);
}
