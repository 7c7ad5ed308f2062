import type { FailureClass } from '../../base/failure.ts';
import type { AgentNode, StepNode } from './nodes.ts';
import { openTimeMs } from './open-time.ts';
import { noteInPool } from './pool-breaker.ts';
import type { Turn } from './turn.ts';

/** How long an agent's breaker stays open: half of the ceiling for sure, the rest drawn. */
const OPEN = { initialMs: 10_000, maxMs: 600_000 };
/** Ends that say something about the agent. A lost lease is left to the lease's own rules, a stop is an operator's will. */
const COUNTED: readonly FailureClass[] = ['sandbox-error', 'cache-error'];
/** Ends that say nothing about it either way. */
const SILENT: readonly FailureClass[] = ['agent-lost', 'agent-stop', 'cancelled'];

/**
 * An attempt of the step has ended on the agent, with `message` where it did not succeed: errors in a row open its breaker
 * and that of its pool, anything else closes them. A step that meets `cache-error` again and again counts once: its inputs
 * have gone, whoever looks for them.
 */
export function noteEnd(turn: Turn, agent: AgentNode, step: StepNode, ending: FailureClass | undefined, message: string): void {
  if (ending !== undefined && SILENT.includes(ending)) return;
  // The command ran, so the agent works.
  if (ending === undefined || !COUNTED.includes(ending)) {
    noteInPool(turn, agent, step, undefined);
    return noteWell(turn, agent);
  }
  if (ending === 'cache-error') {
    if (agent.missedBy === step.id && agent.breaker.kind === 'closed') return;
    agent.missedBy = step.id;
  }
  noteInPool(turn, agent, step, `${ending} on ${agent.id}: ${message}`);
  if (agent.errorCount === 0) agent.errorsSince = turn.now;
  agent.errorCount += 1;
  agent.lastError = `${ending}: ${message}`;
  if (agent.breaker.kind === 'closed' && agent.errorCount < turn.yard.limits.breakerErrors) return;
  if (agent.breaker.kind === 'open') return;
  agent.breaker = { kind: 'open', until: turn.now + openTimeMs(turn, agent.breakerTrips, OPEN) };
  agent.breakerTrips += 1;
  turn.yard.tally.agentBreakersOpened += 1;
  setAgentTimer(turn, agent);
  turn.yard.fleet.refresh(agent);
}

function noteWell(turn: Turn, agent: AgentNode): void {
  agent.errorCount = 0;
  agent.lastError = undefined;
  agent.missedBy = undefined;
  agent.breakerTrips = 0;
  if (agent.breaker.kind === 'closed') return;
  agent.breaker = { kind: 'closed' };
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
