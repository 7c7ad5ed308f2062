import type { AgentId } from './ids.ts';
import type { AgentNode } from './nodes.ts';
import { leaseOf } from './step-record.ts';
import type { Yard } from './yard.ts';

/** What is given up with an agent of a pool. */
export type ScaleInCandidate = {
  readonly agent: AgentId;
  /** Steps that it holds leases for. */
  readonly running: number;
  /** Those of them that change the world outside, and are not run again when they are cut off. */
  readonly sideEffects: number;
  /** What its leases have run so far, together: lost where they outlast the drain. */
  readonly workMs: number;
  /** Input bytes that it has at hand. */
  readonly heldBytes: number;
};

/**
 * The agents of a pool that serve, in the order in which to do without them: those that run nothing first, then those with least to
 * lose, and those last whose steps change the world outside. Agents that are on drain already, or away, are not among them.
 */
export function scaleInOrder(yard: Yard, pool: string, now: number): readonly ScaleInCandidate[] {
  const members = [...(yard.fleet.pools.get(pool)?.members ?? [])];
  const serving = members.filter(
    (agent) => agent.connected && agent.draining === undefined && yard.fleet.holdOn(agent)?.hold.kind !== 'drain',
  );
  return serving.map((agent) => candidateOf(agent, now)).toSorted(goesBefore);
}

function candidateOf(agent: AgentNode, now: number): ScaleInCandidate {
  let [sideEffects, workMs, heldBytes] = [0, 0, 0];
  for (const step of agent.leases.values()) {
    if (step.spec.sideEffects) sideEffects += 1;
    const { state } = step.record;
    const since = state.kind === 'running' ? (state.startedAt ?? leaseOf(step.record)?.grantedAt ?? now) : now;
    workMs += Math.max(0, now - since);
  }
  for (const bytes of agent.parts.values()) heldBytes += bytes;
  return { agent: agent.id, running: agent.leases.size, sideEffects, workMs, heldBytes };
}

function goesBefore(left: ScaleInCandidate, right: ScaleInCandidate): number {
  return (
    left.sideEffects - right.sideEffects ||
    Math.min(1, left.running) - Math.min(1, right.running) ||
    left.workMs - right.workMs ||
    left.running - right.running ||
    left.heldBytes - right.heldBytes ||
    (left.agent < right.agent ? -1 : 1)
  );
}
