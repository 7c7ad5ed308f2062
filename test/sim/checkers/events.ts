import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/**
 * A build's events count from 1 without a gap, never change within an incarnation of the ledger, and tell of each step's end
 * as the records do.
 */
export const events: CheckerFactory = ({ durable }) => {
  const told = new Map<string, string>();
  return {
    invariant: 'events',
    observe(observation) {
      if (observation.kind === 'lost') {
        told.clear();
        for (const [build, stored] of durable.events) for (const event of stored) told.set(`${build} ${event.seq}`, JSON.stringify(event));
      }
      if (observation.kind !== 'durable') return;
      for (const record of observation.records) {
        if (record.kind !== 'event') continue;
        const { build, event } = record;
        const key = `${build} ${event.seq}`;
        const text = JSON.stringify(event);
        const before = told.get(key);
        if (before !== undefined && before !== text) throw new Violation('events', `event ${key} was ${before} and became ${text}`);
        told.set(key, text);
        if (event.seq > 1 && !told.has(`${build} ${event.seq - 1}`)) {
          throw new Violation('events', `${build} has event ${event.seq} and no event ${event.seq - 1}`);
        }
      }
    },
    finish() {
      for (const [build, stored] of durable.events) {
        const state = durable.buildStates.get(build);
        const last = stored.findLast((event) => event.kind === 'build-ended');
        if (state?.kind === 'ended' && last?.kind === 'build-ended' && last.outcome === state.outcome) continue;
        if (durable.builds.has(build))
          throw new Violation('events', `${build} is ${JSON.stringify(state)} and its watchers were told ${JSON.stringify(last)}`);
      }
    },
  };
};
