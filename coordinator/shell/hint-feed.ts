import { randomInt } from 'node:crypto';
import { backoffMs } from '../../base/backoff.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import type { BuildId } from '../core/ids.ts';
import type { SharedLedger } from '../ledger/ledger.ts';
import { sleep } from './sleep.ts';

/** Hears the hints about some builds; what came since it last looked is not missed. */
export interface Ear extends Disposable {
  /** Resolves at the next hint, after `withinMs`, or when the signal aborts; at once where a hint came since the last call. */
  stirred(withinMs: number, signal: AbortSignal): Promise<void>;
}

/**
 * The ledger's hints, heard once for the process, and only while somebody here wants them: for one that leads, and causes them,
 * each would be an answer of the ledger more to wait for. Hints may be lost: whoever waits for one looks now and then anyway.
 */
export interface HintFeed extends AsyncDisposable {
  listen(builds: readonly BuildId[]): Ear;
  /** Calls `run` whenever the leadership may have changed, until the returned function is called. */
  onLeadership(run: () => void): () => void;
}

const RETRY = { initialMs: 100, maxMs: 3_000 };

type Listener = { heard: boolean; wake: () => void };

export function openHintFeed(ledger: Pick<SharedLedger, 'hints'>, log: Logger): HintFeed {
  const byBuild = new Map<BuildId, Set<Listener>>();
  const ofLeadership = new Set<() => void>();
  const stop = new AbortController();
  const demand = openDemand(() => byBuild.size > 0 || ofLeadership.size > 0, stop.signal);
  const stir = (listeners: Iterable<Listener>) => {
    for (const listener of listeners) {
      listener.heard = true;
      listener.wake();
    }
  };
  const stirAll = () => {
    for (const listeners of byBuild.values()) stir(listeners);
  };
  const hear = async (): Promise<void> => {
    const prng = prngFrom(randomInt(2 ** 47));
    for (let failures = 0; !stop.signal.aborted; failures += 1) {
      const over = await demand.wanted();
      try {
        const hints = ledger.hints(AbortSignal.any([stop.signal, over]));
        stirAll(); // what came before anybody listened was not heard
        for await (const builds of hints) {
          failures = 0;
          if (builds.length === 0) {
            for (const run of ofLeadership) run();
            stirAll(); // a ledger also hints so when hints may have been lost
          }
          for (const build of builds) stir(byBuild.get(build) ?? []);
        }
      } catch (error) {
        if (!stop.signal.aborted && !over.aborted && failures === 0) log.warn('hints-broke', { error });
      }
      if (over.aborted) failures = -1;
      else await sleep(backoffMs(RETRY, failures, prng) + 50, stop.signal);
    }
  };
  const hearing = hear();
  return {
    listen(builds) {
      const listener: Listener = { heard: false, wake: () => {} };
      for (const build of builds) byBuild.set(build, (byBuild.get(build) ?? new Set()).add(listener));
      demand.changed();
      return {
        stirred: (withinMs, signal) => stirred(listener, withinMs, signal),
        [Symbol.dispose]() {
          for (const build of builds) {
            const all = byBuild.get(build);
            all?.delete(listener);
            if (all?.size === 0) byBuild.delete(build);
          }
          demand.changed();
        },
      };
    },
    onLeadership(run) {
      ofLeadership.add(run);
      demand.changed();
      return () => {
        ofLeadership.delete(run);
        demand.changed();
      };
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      demand.changed();
      await hearing;
    },
  };
}

/** As `Ear.stirred`. */
async function stirred(listener: Listener, withinMs: number, signal: AbortSignal): Promise<void> {
  if (!listener.heard) {
    const over = new AbortController();
    listener.wake = () => over.abort();
    await sleep(withinMs, AbortSignal.any([signal, over.signal]));
    listener.wake = () => {};
  }
  listener.heard = false;
}

/** Tells the loop that hears whether anybody wants it to. */
function openDemand(isWanted: () => boolean, stop: AbortSignal) {
  let over = new AbortController();
  let wake = () => {};
  return {
    /** To be called after a listener came or went, and after the stop. */
    changed(): void {
      wake();
      if (!isWanted()) over.abort();
    },
    /** Returns once there is a listener, or the stop, with what fires when there is none any more. */
    async wanted(): Promise<AbortSignal> {
      while (!isWanted() && !stop.aborted) await new Promise<void>((resolve) => (wake = resolve));
      over = new AbortController();
      return over.signal;
    },
  };
}
