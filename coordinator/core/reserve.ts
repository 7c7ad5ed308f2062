import { hasRoom, hasRoomWithout } from './classes.ts';
import type { AgentNode, RequirementClass } from './nodes.ts';
import type { Turn } from './turn.ts';

/**
 * A step that asks for much could wait for ever while small ones take every bit of room as it comes free. Once the first
 * step of a class has waited for `ageingMs`, and no single lease's end would make room for it, one agent is kept free for
 * the class until it fits. The look at the agents is a matter of the class's timer, not of each failed try.
 */
export function watchStuck(turn: Turn, wanted: RequirementClass): void {
  const head = wanted.queue.peek();
  if (head === undefined || wanted.reserved !== undefined || wanted.timer.heapAt >= 0) return;
  turn.yard.timers.set(wanted.timer, Math.max((head.record.readyAt ?? turn.now) + turn.yard.timings.ageingMs, turn.now + 1_000));
}

/** The class's timer has rung. */
export function ringClass(turn: Turn, wanted: RequirementClass): void {
  const head = wanted.queue.peek();
  if (head === undefined || !wanted.stuck || wanted.reserved !== undefined) return;
  const aged = turn.now >= (head.record.readyAt ?? turn.now) + turn.yard.timings.ageingMs;
  const agent = aged ? emptiest(turn, wanted) : undefined;
  if (agent === undefined) watchStuck(turn, wanted);
  else turn.yard.fleet.reserve(agent, wanted);
}

/** The agent with the fewest leases to wait for; undefined where none needs to be kept free. */
function emptiest(turn: Turn, wanted: RequirementClass): AgentNode | undefined {
  let best: AgentNode | undefined;
  for (const group of wanted.groups) {
    for (const agent of group.members) {
      if (agent.reservedFor !== undefined || turn.yard.fleet.keeperOf(agent) !== undefined) continue;
      // It has room, and what keeps the step from it is something else; or its next end makes room.
      if (hasRoom(agent, wanted)) continue;
      for (const lease of agent.leases.values()) if (hasRoomWithout(agent, wanted, lease)) return undefined;
      if (best === undefined || agent.leases.size < best.leases.size) best = agent;
    }
  }
  return best;
}
