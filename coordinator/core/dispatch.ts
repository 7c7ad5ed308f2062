import { offer } from './leases.ts';
import type { RequirementClass, StepNode } from './nodes.ts';
import { choose } from './placement.ts';
import { headBefore } from './queue.ts';
import { watchStuck } from './reserve.ts';
import type { Turn } from './turn.ts';

/**
 * Gives queued steps to agents until no class that could have changed finds one. Among the classes the step goes first
 * whose project, then build, has the least: fairness holds across classes that compete for the same agents.
 */
export function dispatch(turn: Turn): void {
  const { hot } = turn.yard.fleet;
  while (hot.size > 0) {
    let wanted: RequirementClass | undefined;
    let head: StepNode | undefined;
    for (const candidate of hot) {
      const first = candidate.queue.peek();
      if (first === undefined) hot.delete(candidate);
      else if (head === undefined || headBefore(first, head)) {
        wanted = candidate;
        head = first;
      }
    }
    if (wanted === undefined || head === undefined) return;
    place(turn, wanted, head);
  }
}

function place(turn: Turn, wanted: RequirementClass, step: StepNode): void {
  const { fleet, index, limits } = turn.yard;
  const choice = choose(turn, step, wanted);
  switch (choice.kind) {
    case 'agent':
      step.placement = { agent: choice.agent.id, terms: choice.terms, candidateCount: choice.candidateCount };
      return offer(turn, step, choice.agent);
    case 'none':
      wanted.stuck = true;
      fleet.hot.delete(wanted);
      return watchStuck(turn, wanted);
    case 'wait':
      if (wanted.parked.size >= limits.parkedPerClass) step.patienceOver = true;
      else {
        step.awaited = choice.awaited;
        fleet.park(step, choice.until);
        index.setTimer(step);
      }
  }
}
