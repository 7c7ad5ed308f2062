import { canTake, type Fleet } from './fleet.ts';
import { offer } from './leases.ts';
import type { AgentNode, RequirementClass, StepNode } from './nodes.ts';
import { choose } from './placement.ts';
import { headBefore } from './queue.ts';
import { watchStuck } from './reserve.ts';
import type { Turn } from './turn.ts';

/**
 * Gives queued steps to agents until no class that could have changed finds one. Among the classes the step goes first
 * whose project, then build, has the least: fairness holds across classes that compete for the same agents.
 */
export function dispatch(turn: Turn): void {
  const { fleet } = turn.yard;
  while (fleet.hot.size > 0 || fleet.roomy.size > 0) {
    const head = firstOfAll(fleet);
    if (head === undefined) return;
    place(turn, fleet.classOf(head), head);
  }
}

/** The first step of all classes that are worth a try. */
function firstOfAll(fleet: Fleet): StepNode | undefined {
  let head: StepNode | undefined;
  for (const wanted of fleet.hot) {
    const first = wanted.queue.peek();
    if (first === undefined) fleet.hot.delete(wanted);
    else if (head === undefined || headBefore(first, head)) head = first;
  }
  for (const agent of fleet.roomy) {
    const first = firstFor(agent, fleet);
    if (first === undefined) fleet.roomy.delete(agent);
    else if (head === undefined || headBefore(first, head)) head = first;
  }
  return head;
}

/** The first step of all classes that the agent has room for. */
function firstFor(agent: AgentNode, fleet: Fleet): StepNode | undefined {
  if (agent.availableAt < 0) return undefined;
  let head: StepNode | undefined;
  for (let at = 0; at < fleet.active.size; at += 1) {
    const wanted = fleet.active.at(at);
    if (wanted === undefined || !canTake(agent, wanted)) continue;
    const first = wanted.queue.peek();
    if (first !== undefined && (head === undefined || headBefore(first, head))) head = first;
  }
  return head;
}

function place(turn: Turn, wanted: RequirementClass, step: StepNode): void {
  const { fleet, index, limits } = turn.yard;
  // It is worth a try, and the next of its steps will be until one finds no agent.
  wanted.stuck = false;
  fleet.hot.add(wanted);
  const choice = choose(turn, step, wanted);
  switch (choice.kind) {
    case 'agent':
      step.placement = {
        agent: choice.agent.id,
        terms: choice.terms,
        candidateCount: choice.candidateCount,
        ...(choice.tier === undefined ? {} : { standing: choice.tier.standing, home: choice.home }),
      };
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
