import { zoneFits } from './classes.ts';
import type { AgentNode, RequirementClass, StepNode } from './nodes.ts';
import type { Turn } from './turn.ts';

/**
 * A step that asks for much could wait for ever while small ones take every bit of room as it comes free. Once the first
 * step of a class has waited for `ageingMs`, one agent is kept free for the class until it fits.
 */
export function reserveFor(turn: Turn, wanted: RequirementClass, head: StepNode): void {
  if (wanted.reserved !== undefined) return;
  const since = head.record.readyAt ?? turn.now;
  const at = since + turn.yard.timings.ageingMs;
  if (turn.now < at) return turn.yard.timers.set(wanted.timer, at);
  const agent = emptiest(turn, wanted);
  if (agent !== undefined) turn.yard.fleet.reserve(agent, wanted);
}

/** The class's timer has rung. */
export function ringClass(turn: Turn, wanted: RequirementClass): void {
  const head = wanted.queue.peek();
  if (head !== undefined && wanted.stuck) reserveFor(turn, wanted, head);
}

/** The agent that has the fewest leases to wait for, among those that may be offered steps at all. */
function emptiest(turn: Turn, wanted: RequirementClass): AgentNode | undefined {
  let best: AgentNode | undefined;
  for (const group of wanted.groups) {
    for (const agent of group.members) {
      if (agent.reservedFor !== undefined || turn.yard.fleet.keptFrom(agent) !== undefined) continue;
      // Nothing to wait for: what keeps the step from it is no lack of room.
      if (agent.leases.size === 0 && zoneFits(agent, wanted)) continue;
      if (best === undefined || agent.leases.size < best.leases.size) best = agent;
    }
  }
  return best;
}
