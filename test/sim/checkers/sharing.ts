import { buildOf, type StepId } from '../../../coordinator/core/ids.ts';
import { outputOf } from '../agent.ts';
import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/**
 * A step's success carries the bytes that its own action makes, and comes from elsewhere only where project, scope and zone
 * are the same and the step may be cached.
 */
export const sharing: CheckerFactory = ({ durable, stepPlan, buildPlan }) => {
  const ranFor = new Map<string, Set<string>>();
  const keyOf = (id: StepId, action: string) => {
    const { project, scope, zoneCeiling } = buildPlan(buildOf(id)).spec;
    return `${project} ${scope} ${zoneCeiling} ${action}`;
  };
  return {
    invariant: 'sharing',
    observe(observation) {
      if (observation.kind !== 'ran') return;
      const { build, step } = observation.offer;
      const id = `${build}/${step}` as StepId; // the form of a step's id
      const action = durable.steps.get(id)?.action?.action ?? 'none';
      ranFor.set(keyOf(id, action), (ranFor.get(keyOf(id, action)) ?? new Set()).add(id));
    },
    durable({ id, before, after }) {
      const { state, action } = after;
      if (state.kind !== 'ended' || before?.state.kind === 'ended' || state.outcome.kind !== 'succeeded') return;
      if (action === undefined) throw new Violation('sharing', `${id} succeeded without an action`);
      const { spec } = stepPlan(id);
      const [output] = state.outcome.result.outputs;
      const expected = outputOf(action.inputRoot, spec.command);
      if (output?.kind !== 'file' || output.digest !== expected) {
        throw new Violation('sharing', `${id} has ${JSON.stringify(output)} (from ${state.outcome.from}) and its action makes ${expected}`);
      }
      if (state.outcome.from === 'run') return;
      if (!spec.cacheable || spec.sideEffects)
        throw new Violation('sharing', `${id} may not be cached and took a result from the ${state.outcome.from}`);
      if (!ranFor.has(keyOf(id, action.action ?? ''))) {
        throw new Violation(
          'sharing',
          `${id} took a result from the ${state.outcome.from} that nobody made in ${keyOf(id, action.action ?? '')}`,
        );
      }
    },
  };
};
