import { unreachable } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import type { Fleet } from './fleet.ts';
import type { AgentNode, BreakerState, PoolNode } from './nodes.ts';
import type { Hold } from './state.ts';

/* Why agents and pools get nothing new, in words. */

/** Undefined where the agent may get something. */
export function whyKept(fleet: Fleet, agent: AgentNode, now: TimeMs): string | undefined {
  const keeper = fleet.keeperOf(agent);
  switch (keeper) {
    case undefined:
      return undefined;
    case 'disconnected':
      return 'it is not connected';
    case 'outside':
      return `it is in no pool: ${agent.outside ?? ''}`;
    case 'draining':
      return `it is draining: ${agent.draining ?? ''}`;
    case 'breaker-open':
    case 'breaker-probing':
      return breakerText(agent, now);
    case 'pool-open':
    case 'pool-probing':
      return brokenDomains(agent)
        .slice(0, 1)
        .map((domain) => poolText(domain, now))
        .join('');
    case 'hold': {
      const hold = fleet.holdOn(agent)?.hold;
      return hold === undefined ? '' : holdText(hold, now);
    }
    case 'cordon':
      return `it is cordoned: ${agent.cordoned ?? ''}`;
    case 'pool-degraded':
      return agent.pool === undefined ? '' : degradedText(agent.pool, now);
    default:
      return unreachable(keeper);
  }
}

/** Undefined while the agent's breaker is closed. */
export function breakerText(agent: AgentNode, now: TimeMs): string | undefined {
  if (agent.breaker.kind === 'closed') return undefined;
  const last = agent.lastError === undefined ? '' : `, the last one ${agent.lastError}`;
  const since = formatDurationMs(Math.max(0, now - agent.errorsSince));
  return `its breaker is ${kindText(agent.breaker)} after ${agent.errorCount} errors in a row in ${since}${last}${nextText(agent.breaker, agent.leases.size > 0, now)}`;
}

/** Who holds it, how, for how long, and why. */
function holdText({ target, kind, by, expiresAt, reason }: Hold, now: TimeMs): string {
  const end = expiresAt === undefined ? 'until it is lifted' : `for another ${formatDurationMs(Math.max(0, expiresAt - now))}`;
  return `${target} is on ${kind} by ${by}, ${end}: ${reason}`;
}

/** The agent's cluster and pool, the wider one first, as far as their breakers are not closed. */
export function brokenDomains({ cluster, pool }: AgentNode): readonly PoolNode[] {
  return [cluster, pool].flatMap((domain) => (domain === undefined || domain.breaker.kind === 'closed' ? [] : [domain]));
}

/** Of a pool or a cluster whose breaker is not closed. */
export function poolText(pool: PoolNode, now: TimeMs): string {
  const agents = pool.errorAgents.size === 1 ? '1 agent' : `${pool.errorAgents.size} agents`;
  const last = pool.lastError === undefined ? '' : `: ${pool.lastError}`;
  const held = formatDurationMs(Math.max(0, now - pool.errorsSince));
  return `${pool.scope} ${pool.name} is held back: ${pool.errorCount} errors of ${agents} in ${held}${last}${nextText(pool.breaker, pool.probing !== undefined, now)}`;
}

/** Undefined while no canary build of the pool has failed, or the newest one was well. */
export function degradedText({ name, degraded }: PoolNode, now: TimeMs): string | undefined {
  if (degraded === undefined) return undefined;
  const since = formatDurationMs(Math.max(0, now - degraded.since));
  return `pool ${name} is degraded for ${since}, until its next canary build is well: ${degraded.why}`;
}

function kindText(breaker: BreakerState): string {
  return breaker.kind === 'half-open' ? 'half open' : breaker.kind;
}

function nextText(breaker: BreakerState, probing: boolean, now: TimeMs): string {
  if (breaker.kind === 'open') return `; next probe in ${formatDurationMs(Math.max(0, breaker.until - now))}`;
  if (breaker.kind === 'closed') return '';
  return probing ? '; one step is probing it' : '; the next step that fits probes it';
}
