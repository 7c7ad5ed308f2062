import type { EntryCounters, MissCause } from './counters.ts';
import type { Departures } from './departures.ts';
import type { EntryStore } from './entry-store.ts';

/** Counts what was found and kept, and why not. Outermost: what callers ask for, and not what is asked on their way. */
export function withEntryCounts(next: EntryStore, departures: Departures, { hits, misses, puts }: EntryCounters): EntryStore {
  return {
    async get(kind, project, scopes, key, signal) {
      const entry = await next.get(kind, project, scopes, key, signal);
      if (entry === undefined) misses[kind][causeOf(scopes.map((scope) => ({ kind, owner: { project, scope }, key })))] += 1;
      else hits[kind].key += 1;
      return entry;
    },
    async newest(kind, project, scopes, prefix, signal) {
      const entry = await next.newest(kind, project, scopes, prefix, signal);
      if (entry === undefined) misses[kind].absent += 1;
      else hits[kind].prefix += 1;
      return entry;
    },
    async put(entry, options, signal) {
      const put = await next.put(entry, options, signal);
      puts[entry.at.kind][put.kind] += 1;
      return put;
    },
    list: (project, filter, after, limit, signal) => next.list(project, filter, after, limit, signal),
    drop: (at, signal) => next.drop(at, signal),
    dropSeen: (entry, signal) => next.dropSeen(entry, signal),
    usage: (signal) => next.usage(signal),
  };

  /** What became of the key in the nearest scope that had it. */
  function causeOf(names: readonly Parameters<Departures['of']>[0][]): MissCause {
    for (const at of names) {
      const departure = departures.of(at);
      if (departure !== undefined) return departure.cause;
    }
    return 'absent';
  }
}
