import { isUnsealed } from '../../../coordinator/core/step-record.ts';
import type { StepId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** Nothing is published of a step before its leader knows that the store has what it left; and each hears of that once faults stop. */
export const sealed: CheckerFactory = ({ durable }) => {
  const known = new Map<string, Set<StepId>>();
  return {
    invariant: 'sealed',
    arrived(event, _at, { term }) {
      if (event.kind !== 'step-sealed') return;
      const steps = known.get(term.nonce) ?? new Set();
      known.set(term.nonce, steps.add(event.step));
    },
    observe(observation) {
      if (observation.kind !== 'sent') return;
      const { send, lead } = observation;
      if (send.kind !== 'publish' && send.kind !== 'keep-dependencies') return;
      const record = durable.steps.get(send.step);
      if (record === undefined || !isUnsealed(record) || known.get(lead.term.nonce)?.has(send.step) === true) return;
      throw new Violation('sealed', `${send.kind} of ${send.step}, which is only staged`);
    },
    finish() {
      for (const [step, record] of durable.steps) {
        if (isUnsealed(record)) throw new Violation('sealed', `${step} was staged, and no word came that store and cache have it`);
      }
    },
  };
};
