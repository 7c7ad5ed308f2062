import { isUnsealed } from '../../../coordinator/core/step-record.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** Nothing of a step is published before the store has what the step left; and each step hears of that once faults stop. */
export const sealed: CheckerFactory = ({ durable }) => ({
  invariant: 'sealed',
  observe(observation) {
    if (observation.kind !== 'sent') return;
    const { send } = observation;
    if (send.kind !== 'publish' && send.kind !== 'keep-dependencies') return;
    const record = durable.steps.get(send.step);
    if (record !== undefined && isUnsealed(record)) throw new Violation('sealed', `${send.kind} of ${send.step}, which is only staged`);
  },
  finish() {
    for (const [step, record] of durable.steps) {
      if (isUnsealed(record)) throw new Violation('sealed', `${step} was staged, and no word came that the store has it`);
    }
  },
});
