import type { Logger } from '../../base/log.ts';
import type { Departures } from './departures.ts';
import type { Entry, EntryStore } from './entry-store.ts';
import type { Needs } from './needs.ts';

/** Entries of one prefix that are looked at before it is a miss. */
const PREFIX_TRIES = 16;

/**
 * Hides entries of which any blob is gone from their own scope and those above it. All blobs of an entry that is given out count as used
 * just now. What is not complete does not hold its name: the next write takes its place. Found by prefix, it is taken away, so that the
 * next older one is found. Costs one `findMissing` per tree and one for the rest. Outermost: nothing that is not complete may be seen,
 * but in lists.
 */
export function withCompleteEntries(next: EntryStore, needs: Needs, departures: Departures, log: Logger): EntryStore {
  const isComplete = (entry: Entry, signal: AbortSignal) => needs.areThere(entry.at.owner, entry.value, signal);
  return {
    async get(kind, project, scopes, key, signal) {
      for (let rest = scopes; ;) {
        const entry = await next.get(kind, project, rest, key, signal);
        if (entry === undefined || (await isComplete(entry, signal))) return entry;
        departures.note(entry.at, 'incomplete'); // it is still there, for the next write to take its place
        rest = rest.slice(rest.indexOf(entry.at.owner.scope) + 1);
      }
    },
    async newest(kind, project, scopes, prefix, signal) {
      for (let tries = 0; tries < PREFIX_TRIES; tries += 1) {
        const entry = await next.newest(kind, project, scopes, prefix, signal);
        if (entry === undefined || (await isComplete(entry, signal))) return entry;
        log.info('entry-incomplete', { ...entry.at, writtenAt: entry.writtenAt });
        // What was written since may have healed it.
        if (await next.dropSeen(entry, signal)) departures.note(entry.at, 'incomplete');
      }
      return undefined;
    },
    async put(entry, { replace }, signal) {
      const put = await next.put(entry, { replace }, signal);
      if (put.kind === 'kept' || (await isComplete(put.entry, signal))) return put;
      return next.put(entry, { replace: true }, signal);
    },
    list: (project, filter, after, limit, signal) => next.list(project, filter, after, limit, signal),
    drop: (at, signal) => next.drop(at, signal),
    dropSeen: (entry, signal) => next.dropSeen(entry, signal),
    usage: (signal) => next.usage(signal),
  };
}
