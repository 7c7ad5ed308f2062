import type { LeaseToken } from './ids.ts';
import type { AgentNode, PoolNode, StepNode } from './nodes.ts';
import { openTimeMs } from './open-time.ts';
import type { Turn } from './turn.ts';

/**
 * A pool whose agents err one after the other has something in common that is broken: its network, its image, its cache. Its
 * breaker keeps all of its agents free of steps, so that those go elsewhere where they may; then one step finds out whether
 * the pool works again. The same holds for a cluster whose pools err one after the other.
 * Nothing of it is durable: a new leader begins with closed breakers.
 */

/** How long it stays open. Shorter than an agent's: a whole pool standing still is dear, and one step is a cheap question. */
const OPEN = { initialMs: 10_000, maxMs: 120_000 };
/** Agents that are told apart among those that erred. */
const ERROR_AGENTS_MAX = 64;

/** An attempt has ended on the agent: `error` where our side erred; undefined where the command ran, so that the pool works. */
export function noteInPool(turn: Turn, agent: AgentNode, step: StepNode, error: string | undefined): void {
  if (agent.pool !== undefined) noteIn(turn, agent.pool, agent, step, error);
  if (agent.cluster !== undefined) noteIn(turn, agent.cluster, agent, step, error);
}

function noteIn(turn: Turn, pool: PoolNode, agent: AgentNode, step: StepNode, error: string | undefined): void {
  if (error === undefined) return close(turn, pool);
  if (pool.errorCount === 0) pool.errorsSince = turn.now;
  pool.errorCount += 1;
  pool.lastError = error;
  // Beyond the bounds more names tell nothing.
  if (pool.errorAgents.size < ERROR_AGENTS_MAX) pool.errorAgents.add(agent.id);
  if (pool.errorPools.size < turn.yard.limits.clusterBreakerPools) pool.errorPools.add(agent.pool?.name ?? '');
  if (pool.errorSteps.size < turn.yard.limits.poolBreakerSteps) pool.errorSteps.add(step.id);
  if (pool.breaker.kind === 'open') return;
  if (pool.breaker.kind === 'closed' && !isTooMuch(turn, pool)) return;
  open(turn, pool);
}

function isTooMuch({ yard: { limits } }: Turn, pool: PoolNode): boolean {
  const isCluster = pool.scope === 'cluster';
  return (
    pool.errorCount >= (isCluster ? limits.clusterBreakerErrors : limits.poolBreakerErrors) &&
    (!isCluster || pool.errorPools.size >= limits.clusterBreakerPools) &&
    pool.errorAgents.size >= limits.poolBreakerAgents &&
    pool.errorSteps.size >= limits.poolBreakerSteps
  );
}

function open(turn: Turn, pool: PoolNode): void {
  const until = turn.now + openTimeMs(turn, pool.trips, OPEN);
  if (pool.breaker.kind === 'closed') turn.yard.tally[pool.scope === 'pool' ? 'poolBreakersOpened' : 'clusterBreakersOpened'] += 1;
  pool.trips += 1;
  pool.probe = undefined;
  pool.breaker = { kind: 'open', until };
  turn.yard.timers.set(pool.timer, until);
  refreshAll(turn, pool);
}

function close(turn: Turn, pool: PoolNode): void {
  if (pool.errorCount === 0 && pool.breaker.kind === 'closed') return;
  pool.errorCount = 0;
  pool.errorAgents.clear();
  pool.errorPools.clear();
  pool.errorSteps.clear();
  pool.lastError = undefined;
  pool.trips = 0;
  if (pool.breaker.kind === 'closed') return;
  pool.breaker = { kind: 'closed' };
  pool.probe = undefined;
  turn.yard.timers.set(pool.timer, undefined);
  refreshAll(turn, pool);
}

/** The pool's open time is over: one step may find out. */
export function ringPool(turn: Turn, pool: PoolNode): void {
  if (pool.breaker.kind !== 'open' || turn.now < pool.breaker.until) return;
  if (pool.members.size === 0) return turn.yard.fleet.dropPool(pool);
  pool.breaker = { kind: 'half-open' };
  refreshAll(turn, pool);
}

/** The agent was offered a step: where its pool is being tried, that is the one step. */
export function noteProbe(turn: Turn, agent: AgentNode, token: LeaseToken): void {
  for (const domain of [agent.cluster, agent.pool]) {
    if (domain?.breaker.kind !== 'half-open') continue;
    domain.probe = { agent, token };
    refreshAll(turn, domain);
  }
}

function refreshAll(turn: Turn, pool: PoolNode): void {
  for (const agent of pool.members) turn.yard.fleet.refresh(agent);
}
