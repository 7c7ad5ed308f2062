import { backoffMs } from '../../base/backoff.ts';
import type { FailureClass } from '../../base/failure.ts';
import type { AgentNode, StepNode } from './nodes.ts';
import type { Turn } from './turn.ts';

/** How long an agent's breaker stays open: half of the ceiling for sure, the rest drawn. */
const OPEN = { initialMs: 10_000, maxMs: 600_000 };
/** Ends that say something about the agent. A lost lease is left to the lease's own rules, a stop is an operator's will. */
const COUNTED: readonly FailureClass[] = ['sandbox-error', 'cache-error'];

/**
 * An attempt of the step has ended on the agent: errors in a row open its breaker, anything else closes it. A step that
 * meets `cache-error` again and again counts once: its inputs have gone, whoever looks for them.
 */
export function noteEnd(turn: Turn, agent: AgentNode, step: StepNode, ending: FailureClass | undefined): void {
  if (ending !== undefined && !COUNTED.includes(ending)) {
    // The command ran, so the agent works; a stop or a loss says nothing either way.
    if (ending === 'agent-lost' || ending === 'agent-stop' || ending === 'cancelled') return;
  }
  if (ending === undefined || !COUNTED.includes(ending)) {
    agent.errorCount = 0;
    agent.missedBy = undefined;
    agent.breakerTrips = 0;
    if (agent.breaker.kind === 'closed') return;
    agent.breaker = { kind: 'closed' };
    setAgentTimer(turn, agent);
    return turn.yard.fleet.refresh(agent);
  }
  if (ending === 'cache-error') {
    if (agent.missedBy === step.id && agent.breaker.kind === 'closed') return;
    agent.missedBy = step.id;
  }
  agent.errorCount += 1;
  if (agent.breaker.kind === 'closed' && agent.errorCount < turn.yard.limits.breakerErrors) return;
  if (agent.breaker.kind === 'open') return;
  const ceilingMs = Math.min(OPEN.maxMs, OPEN.initialMs * 2 ** Math.min(agent.breakerTrips, 16));
  const openMs = ceilingMs / 2 + backoffMs({ initialMs: ceilingMs / 2, maxMs: ceilingMs / 2 }, 0, turn.prng);
  agent.breakerTrips += 1;
  agent.breaker = { kind: 'open', until: turn.now + openMs };
  setAgentTimer(turn, agent);
  turn.yard.fleet.refresh(agent);
}

/** The agent's timer has rung: an open breaker lets one step through to see; an agent long gone is forgotten. */
export function ringAgent(turn: Turn, agent: AgentNode): void {
  if (agent.breaker.kind === 'open' && turn.now >= agent.breaker.until) {
    agent.breaker = { kind: 'half-open' };
    turn.yard.fleet.refresh(agent);
  }
  const idle = !agent.connected && agent.leases.size === 0;
  if (idle && turn.now >= agent.disconnectedAt + turn.yard.limits.agentKeptMs)
    return turn.put({ kind: 'agent-forgotten', agent: agent.id });
  setAgentTimer(turn, agent);
}

export function setAgentTimer(turn: Turn, agent: AgentNode): void {
  const forgetAt = agent.connected || agent.leases.size > 0 ? undefined : agent.disconnectedAt + turn.yard.limits.agentKeptMs;
  const openUntil = agent.breaker.kind === 'open' ? agent.breaker.until : undefined;
  turn.yard.timers.set(agent.timer, forgetAt === undefined ? openUntil : Math.min(forgetAt, openUntil ?? forgetAt));
}
