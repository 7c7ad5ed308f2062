import type { BuildId } from '../../../coordinator/core/ids.ts';
import { buildOf } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** Every build that a client was told of ends once faults stop, with all of its steps, and none disappears. */
export const ends: CheckerFactory = ({ durable }) => {
  const accepted = new Set<BuildId>();
  return {
    invariant: 'ends',
    observe(observation) {
      if (observation.kind === 'accepted') accepted.add(observation.id);
    },
    finish() {
      for (const id of accepted) {
        const state = durable.buildStates.get(id) ?? durable.forgotten.get(id);
        if (state?.kind === 'ended') continue;
        const open = [...durable.steps].filter(([step, record]) => buildOf(step) === id && record.state.kind !== 'ended');
        const steps = open.map(([step, record]) => `${step} ${JSON.stringify(record.state)}`);
        throw new Violation('ends', `${id} is ${state?.kind ?? 'gone'}; ${open.length} steps have not ended:\n${steps.join('\n')}`);
      }
    },
  };
};
