import { isOpenScope } from '../../base/caller.ts';
import { isFault, Fault } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { ActionCache } from '../action-cache/action-cache.ts';
import type { EntryStore } from '../entries/entry-store.ts';
import { unlessAborted } from '../packs/tries.ts';
import { asAway } from './with-staging.ts';

/** Lookups that were given up, and so count as misses. */
export type LookupCounts = { missed: number };

export type ActionsWhileAwayOptions = {
  readonly isAway: () => boolean;
  readonly counts: LookupCounts;
  readonly log: Logger;
  /** @default 2 seconds */
  readonly deadlineMs?: number;
};

const LOOKUP_MS = 2_000;

/**
 * A lookup that the store does not answer in time is a miss, and so is each one while it is left alone: running an action again costs
 * less than waiting for what may be there, and what was found could not be read. What processes of ours keep is no such thing: of that it
 * is said that it cannot be known.
 */
export function actionsWhileAway(next: ActionCache, { isAway, counts, log, deadlineMs = LOOKUP_MS }: ActionsWhileAwayOptions): ActionCache {
  const miss = (error: unknown): undefined => {
    counts.missed += 1;
    log.debug('lookup-given-up', { missed: counts.missed, error });
  };
  return {
    async get(key, signal) {
      if (!isOpenScope(key.scope)) {
        return await next.get(key, signal).catch((error: unknown) => {
          throw asAway(error);
        });
      }
      if (isAway()) return miss(undefined);
      const late = AbortSignal.timeout(deadlineMs);
      const either = AbortSignal.any([signal, late]);
      try {
        return await unlessAborted(next.get(key, either), either);
      } catch (error) {
        if (signal.aborted || !(late.aborted || isFault(error, 'BUCKET_UNAVAILABLE') || isFault(error, 'STORE_UNAVAILABLE'))) throw error;
        return miss(error);
      }
    },
    put: (key, entry, signal) => next.put(key, entry, signal),
  };
}

/**
 * Entries over a store that may be away: who reaches this data plane is told that the bucket is, at once while it is left alone. An
 * entry is written once all its blobs are in the store; until then BUCKET_UNAVAILABLE says that some are only staged.
 */
export function entriesWhileAway(
  next: EntryStore,
  { refusal, isStaging }: { refusal: () => Fault | undefined; isStaging: () => boolean },
): EntryStore {
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asAway(error);
    }
  };
  const guarded = <T>(work: () => Promise<T>): Promise<T> =>
    told(async () => {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      return await work();
    });
  return {
    get: (kind, project, scopes, key, signal) => guarded(() => next.get(kind, project, scopes, key, signal)),
    newest: (kind, project, scopes, prefix, signal) => guarded(() => next.newest(kind, project, scopes, prefix, signal)),
    put: (entry, options, signal) =>
      guarded(async () => {
        const staging = isStaging(); // before: what is drained meanwhile is in the store for the next try only
        try {
          return await next.put(entry, options, signal);
        } catch (error) {
          if (!staging || !isFault(error, 'BLOB_UNKNOWN')) throw error;
          throw new Fault('BUCKET_UNAVAILABLE', `Some of its blobs wait for the store: ${error.message}`, {
            cause: error,
            retryAfterMs: 1_000,
          });
        }
      }),
    list: (project, filter, after, limit, signal) => told(() => next.list(project, filter, after, limit, signal)),
    drop: (at, signal) => told(() => next.drop(at, signal)),
    dropSeen: (entry, signal) => told(() => next.dropSeen(entry, signal)),
    usage: (signal) => told(() => next.usage(signal)),
  };
}
