import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEpoch } from '../gc/open-epoch.ts';
import { withClaim } from '../store-index/with-claim.ts';
import { fillIndex, type RebuildOptions } from './rebuild.ts';
import { unlessAborted } from './tries.ts';

/** For so long nobody else begins a rebuild after its rebuilder was last heard of. */
const CLAIM_MS = 60_000;

export type IndexKeeperOptions = RebuildOptions & {
  /** How often the index is asked whether it has forgotten something. */
  readonly everyMs: number;
};

/**
 * Sees to it that the index is open and complete: looks now and then whether it began another epoch, and rebuilds it where no other
 * process does. Disposal ends a rebuild under way, which the next process takes up.
 */
export interface IndexKeeper extends AsyncDisposable {
  /** Returns once the index has been seen open: readers and writers are let in. */
  opened(signal: AbortSignal): Promise<void>;
  /** Returns once the index has been seen complete. */
  completed(signal: AbortSignal): Promise<void>;
}

export function keepIndex(options: IndexKeeperOptions): IndexKeeper {
  const { objects, index, restoreEntries, env, graceMs } = options;
  const closing = new AbortController();
  const holder = randomBytes(12).toString('hex');
  const open = Promise.withResolvers<void>();
  const complete = Promise.withResolvers<void>();
  const look = async (signal: AbortSignal) => {
    const state = await index.epoch(signal);
    if (state.open && state.complete) {
      open.resolve();
      complete.resolve();
      return;
    }
    const rebuild = { objects, index, restoreEntries, env, graceMs };
    await openEpoch(rebuild, signal);
    open.resolve();
    if (await withClaim(index, { task: 'rebuild', holder, leaseMs: CLAIM_MS }, () => fillIndex(rebuild, signal), signal))
      complete.resolve();
  };
  const run = async () => {
    while (!closing.signal.aborted) {
      await look(closing.signal).catch((error: unknown) => {
        if (!closing.signal.aborted) env.log.warn('index-not-ready', { error });
      });
      await sleep(options.everyMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    opened: (signal) => unlessAborted(open.promise, signal),
    completed: (signal) => unlessAborted(complete.promise, signal),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
