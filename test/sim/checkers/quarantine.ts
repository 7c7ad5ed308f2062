import type { StepId } from '../../../coordinator/core/ids.ts';
import { LIMITS } from '../../../coordinator/core/limits.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/** A step that was running on several agents when they were lost is not given to another. */
export const quarantine: CheckerFactory = () => {
  const ended = new Set<string>();
  const left = new Set<string>();
  const lost = new Map<StepId, Set<string>>();
  return {
    invariant: 'quarantine',
    arrived(event) {
      if (event.kind === 'step-retried') lost.delete(event.step);
      if (event.kind === 'attempt-finished') ended.add(event.token);
      if (event.kind === 'agent-left') left.add(event.session.slice(0, event.session.lastIndexOf('#')));
      if (event.kind !== 'agent-registered') return;
      left.delete(event.facts.agent);
      for (const { token, phase } of event.held) if (phase.kind === 'finished') ended.add(token);
    },
    observe(observation) {
      // What was counted may never have been.
      if (observation.kind === 'lost') lost.clear();
    },
    durable({ id, before, after }) {
      if (before?.state.kind === 'ended' && after.state.kind !== 'ended') lost.delete(id);
      const [was, is] = [leaseOf(before), leaseOf(after)];
      const agents = lost.get(id) ?? new Set<string>();
      lost.set(id, agents);
      const running = before?.state.kind === 'running' && before.state.cancelling === undefined;
      if (running && was !== undefined && is?.token !== was.token && !ended.has(was.token) && !left.has(was.agent)) agents.add(was.agent);
      const granted = is !== undefined && is.token !== was?.token;
      if (granted && agents.size >= LIMITS.agentsLostToQuarantine) {
        throw new Violation('quarantine', `${id} went to ${is.agent} after ${[...agents].join(', ')} were lost while they ran it`);
      }
    },
  };
};
