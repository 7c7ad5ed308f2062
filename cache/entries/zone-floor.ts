import { Fault } from '../../base/fault.ts';
import { atLeast, parseZone, type Zone } from '../../base/zone.ts';
import type { FloorOf } from '../quotas.ts';
import { newEntryCounters } from './counters.ts';
import type { Entry, EntryStore } from './entry-store.ts';

/** Entries of one prefix that are passed over before it is a miss. */
const PREFIX_TRIES = 16;

/**
 * Keeps entries out of scopes that demand more: one that an agent of a lower zone made is neither taken nor given, also where the demand
 * came after it. What a client says it ran is no agent's, and no step of ours reads it. Below completeness, above the signatures that
 * the zone is believed by.
 */
export function withZoneFloor(next: EntryStore, floorOf: FloorOf, { refused } = newEntryCounters()): EntryStore {
  const belowFloor = ({ at, provenance }: Entry): Zone | undefined => {
    const floor = floorOf(at.owner);
    if (floor === undefined || provenance.writer !== 'executor') return undefined;
    const zone = parseZone(provenance.zone);
    return zone !== undefined && atLeast(zone, floor) ? undefined : floor;
  };
  const tooLow = (entry: Entry): Zone | undefined => {
    const floor = belowFloor(entry);
    if (floor !== undefined) refused.zone += 1;
    return floor;
  };
  return {
    async get(kind, project, scopes, key, signal) {
      for (let rest = scopes; ;) {
        const entry = await next.get(kind, project, rest, key, signal);
        if (entry === undefined || tooLow(entry) === undefined) return entry;
        rest = rest.slice(rest.indexOf(entry.at.owner.scope) + 1);
      }
    },
    async newest(kind, project, scopes, prefix, signal) {
      for (let tries = 0; tries < PREFIX_TRIES; tries += 1) {
        const entry = await next.newest(kind, project, scopes, prefix, signal);
        if (entry === undefined || tooLow(entry) === undefined) return entry;
        await next.dropSeen(entry, signal); // else it would hide those before it
      }
      return undefined;
    },
    async put(entry, { replace }, signal) {
      const floor = tooLow(entry);
      if (floor !== undefined) {
        const { scope, project } = entry.at.owner;
        throw new Fault('FORBIDDEN', `${project}/${scope} takes results of the zone ${floor} or above, not of "${entry.provenance.zone}"`, {
          field: 'provenance.zone',
        });
      }
      const put = await next.put(entry, { replace }, signal);
      return put.kind === 'kept' || tooLow(put.entry) === undefined ? put : next.put(entry, { replace: true }, signal);
    },
    list: (project, filter, after, limit, signal) => next.list(project, filter, after, limit, signal),
    drop: (at, signal) => next.drop(at, signal),
    dropSeen: (entry, signal) => next.dropSeen(entry, signal),
    usage: (signal) => next.usage(signal),
  };
}
