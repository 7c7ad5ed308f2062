import type { BuildId } from '../core/ids.ts';
import type { LedgerRecord } from '../core/record.ts';
import type { LogRecord } from './ledger.ts';

/** Hands what may have changed to everybody who listens. */
export interface Hints {
  give(builds: readonly BuildId[]): void;
  /** What is given from the call on; what came while the listener was busy comes as one. Ends with the signal. */
  listen(signal: AbortSignal): AsyncIterable<readonly BuildId[]>;
}

type Listener = { pending: Set<BuildId>; stirred: boolean; wake: () => void };

export function openHints(): Hints {
  const listeners = new Set<Listener>();
  return {
    give(builds) {
      for (const listener of listeners) {
        for (const build of builds) listener.pending.add(build);
        listener.stirred = true;
        listener.wake();
      }
    },
    listen(signal) {
      const listener: Listener = { pending: new Set(), stirred: false, wake: () => {} };
      listeners.add(listener);
      signal.addEventListener('abort', () => listener.wake(), { once: true });
      return drain(listener, signal, () => listeners.delete(listener));
    },
  };
}

async function* drain(listener: Listener, signal: AbortSignal, leave: () => void): AsyncGenerator<readonly BuildId[]> {
  try {
    while (!signal.aborted) {
      if (!listener.stirred) {
        await new Promise<void>((resolve) => (listener.wake = resolve));
        continue;
      }
      const builds = [...listener.pending];
      listener.pending = new Set();
      listener.stirred = false;
      yield builds;
    }
  } finally {
    leave();
  }
}

/** The builds whose events or logs the records add to. */
export function buildsOf(records: readonly (LedgerRecord | LogRecord)[]): readonly BuildId[] {
  const builds = new Set<BuildId>();
  for (const record of records) {
    if (record.kind === 'event' || record.kind === 'log-chunk' || record.kind === 'log-segment' || record.kind === 'log-sealed')
      builds.add(record.build);
  }
  return [...builds];
}
