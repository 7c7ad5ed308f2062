import type { BuildId } from '../../../coordinator/core/ids.ts';
import { savesOf } from '../../../coordinator/core/dependency.ts';
import { buildOf } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/**
 * Every build that a client was told of ends once faults stop, with all of its steps, and none disappears, unless the ledger
 * lost it: then its client was told so. What steps have stored for later runs is written as entries, or said not to be.
 */
export const ends: CheckerFactory = ({ durable }) => {
  const accepted = new Set<BuildId>();
  /** What the ledger lost at some time. */
  const lost = new Set<BuildId>();
  /** What clients know to be gone, and what they know the end of. */
  const reported = new Set<BuildId>();
  const heard = new Set<BuildId>();
  return {
    invariant: 'ends',
    observe(observation) {
      if (observation.kind === 'lost') for (const id of observation.builds) lost.add(id);
      if (observation.kind === 'accepted') {
        accepted.add(observation.id);
        if (lost.has(observation.id) || durable.builds.has(observation.id) || durable.forgotten.has(observation.id)) return;
        throw new Violation('ends', `${observation.id} was accepted and is not in the ledger`);
      }
      if (observation.kind === 'heard-end') heard.add(observation.id);
      if (observation.kind !== 'reported-lost') return;
      reported.add(observation.id);
      if (!lost.has(observation.id)) throw new Violation('ends', `${observation.id} was reported lost, and the ledger lost nothing of it`);
    },
    finish() {
      for (const [step, { kept }] of durable.steps) {
        const [save] = savesOf(kept);
        if (save !== undefined)
          throw new Violation('ends', `${step} has stored its dependency cache ${save.name}, and no word came of its entry`);
      }
      for (const id of accepted) {
        const state = durable.buildStates.get(id) ?? durable.forgotten.get(id);
        const settled = state === undefined && (reported.has(id) || (lost.has(id) && heard.has(id)));
        if (state?.kind === 'ended' || settled) continue;
        const open = [...durable.steps].filter(([step, record]) => buildOf(step) === id && record.state.kind !== 'ended');
        const steps = open.map(([step, record]) => `${step} ${JSON.stringify(record.state)}`);
        throw new Violation('ends', `${id} is ${state?.kind ?? 'gone'}; ${open.length} steps have not ended:\n${steps.join('\n')}`);
      }
    },
  };
};
