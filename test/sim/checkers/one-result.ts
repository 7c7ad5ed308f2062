import type { StepId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** A step that has ended keeps its outcome for good, unless a person has it run again; a success is never run again. */
export const oneResult: CheckerFactory = () => {
  const retried = new Set<string>();
  return {
    invariant: 'one-result',
    observe(observation) {
      // What is skipped because of a step runs again with it: the whole build counts as asked for.
      if (observation.kind === 'applied' && observation.event?.kind === 'step-retried') retried.add(buildOfText(observation.event.step));
    },
    durable({ id, before, after }) {
      if (before?.state.kind !== 'ended') return;
      const [was, is] = [JSON.stringify(before.state), JSON.stringify(after.state)];
      if (was === is) return;
      const asked = retried.has(buildOfText(id)) && before.state.outcome.kind !== 'succeeded';
      if (!asked) throw new Violation('one-result', `${id} had ended with ${was} and then became ${is}`);
    },
  };
};

function buildOfText(step: StepId): string {
  return step.slice(0, step.indexOf('/'));
}
