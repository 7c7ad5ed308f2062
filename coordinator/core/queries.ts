import { present } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import { degradedOf } from './build-end.ts';
import type { AgentNode, BreakerState, BuildNode, PoolNode, StepNode } from './nodes.ts';
import { budgetLeft } from './retry.ts';
import { isAction } from './spec.ts';
import { leaseOf } from './step-record.ts';
import type { AgentView, BreakerPicture, BuildFilter, BuildView, ClusterView, LeaseView, PoolView, YardCounts } from './view.ts';
import { degradedText, poolText, whyKept } from './why-kept.ts';
import type { Yard } from './yard.ts';

/** Pictures of the core's state for those who only look. */

export function buildView(build: BuildNode): BuildView {
  return {
    record: build.record,
    state: build.state,
    steps: build.steps,
    endedCount: build.endedCount,
    fromCacheCount: build.fromCacheCount,
    lastEventSeq: build.eventSeq,
    get degraded() {
      return degradedOf(build);
    },
  };
}

/** Newest first: ids are ordered by time. */
export function listBuilds(yard: Yard, filter: BuildFilter): readonly BuildView[] {
  const { before } = filter;
  const passing = [...yard.builds.values()].filter((build) => (before === undefined || build.id < before) && passes(build, filter));
  passing.sort((left, right) => (left.id > right.id ? -1 : 1));
  return passing.slice(0, filter.limit).map(buildView);
}

function passes(build: BuildNode, filter: BuildFilter): boolean {
  const { spec } = build.record;
  const { state } = build;
  if (filter.project !== undefined && spec.project !== filter.project) return false;
  if (filter.actions !== undefined && filter.actions !== isAction(build)) return false;
  if (filter.phase !== undefined && state.kind !== filter.phase) return false;
  if (filter.outcome !== undefined && (state.kind !== 'ended' || state.outcome !== filter.outcome)) return false;
  if (filter.endedBy !== undefined && (state.kind !== 'ended' || state.at > filter.endedBy)) return false;
  return Object.entries(filter.labels ?? {}).every(([key, value]) => spec.labels[key] === value);
}

export function leaseView(step: StepNode): LeaseView {
  const { state } = step.record;
  const lease = present(leaseOf(step.record), 'a step that a token leads to is leased');
  return {
    step: step.id,
    build: step.build.id,
    lease,
    accepted: state.kind === 'running',
    cancelling: state.kind === 'running' && state.cancelling !== undefined,
  };
}

/** The newest time in the records of builds that go on; 0 where none do. */
export function newestTime(yard: Yard): TimeMs {
  let newest = 0;
  for (const build of yard.builds.values()) {
    if (build.state.kind === 'ended') continue;
    newest = Math.max(newest, build.record.acceptedAt, build.state.since ?? 0);
    for (const { record } of build.steps) {
      const lease = leaseOf(record);
      const attempt = record.attempts.at(-1);
      const heardAt = lease === undefined ? 0 : Math.max(lease.grantedAt, lease.expiresAt - yard.timings.leaseTtlMs);
      const endedAt = record.state.kind === 'ended' ? record.state.at : 0;
      newest = Math.max(newest, record.readyAt ?? 0, heardAt, attempt?.acceptedAt ?? 0, attempt?.endedAt ?? 0, endedAt);
    }
  }
  return newest;
}

/** Undefined for an agent of which only leases speak. */
export function agentView(yard: Yard, agent: AgentNode, now: TimeMs): AgentView | undefined {
  const { session } = agent;
  if (session === undefined) return undefined;
  const { capacity } = session.facts;
  const keptFrom = whyKept(yard.fleet, agent, now);
  const custom = Object.entries(capacity.custom).map(
    ([name, count]) => [name, Math.max(0, count - (agent.usedCustom.get(name) ?? 0))] as const,
  );
  return {
    id: agent.id,
    session: session.session,
    connected: agent.connected,
    draining: agent.draining !== undefined,
    facts: session.facts,
    labels: agent.labels,
    registeredAt: session.registeredAt,
    free: {
      cpuMillis: Math.max(0, capacity.cpuMillis - agent.usedCpuMillis),
      memoryBytes: Math.max(0, capacity.memoryBytes - agent.usedMemoryBytes),
      slots: Math.max(0, capacity.slots - agent.usedSlots),
      custom: Object.fromEntries(custom),
    },
    running: [...agent.leases.values()].map((step) => step.id),
    credits: agent.credits,
    breaker: breakerView(agent.breaker, agent.errorCount, agent.errorsSince, agent.lastError),
    cordoned: agent.cordoned,
    keptFrom: keptFrom === undefined ? [] : [keptFrom],
  };
}

function breakerView(state: BreakerState, errors: number, since: TimeMs, lastError: string | undefined): BreakerPicture {
  return {
    kind: state.kind,
    errors,
    since: errors === 0 ? undefined : since,
    lastError,
    probeAt: state.kind === 'open' ? state.until : undefined,
  };
}

/** Pools by name. */
export function poolViews(yard: Yard, now: TimeMs): readonly PoolView[] {
  const pools = [...yard.fleet.pools.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1));
  return pools.map((pool) => poolView(yard, pool, now));
}

function poolView(yard: Yard, pool: PoolNode, now: TimeMs): PoolView {
  const { poolRetryBurst, poolRetryPerSecond } = yard.limits;
  const members = [...pool.members];
  return {
    name: pool.name,
    agents: members.length,
    connected: members.filter((agent) => agent.connected).length,
    taking: members.filter((agent) => yard.fleet.keeperOf(agent) === undefined).length,
    running: members.reduce((sum, agent) => sum + agent.leases.size, 0),
    slots: {
      all: members.reduce((sum, agent) => sum + (agent.connected ? (agent.group?.capacity.slots ?? 0) : 0), 0),
      used: members.reduce((sum, agent) => sum + (agent.connected ? agent.usedSlots : 0), 0),
    },
    breaker: breakerView(pool.breaker, pool.errorCount, pool.errorsSince, pool.lastError),
    degraded: pool.degraded,
    open: members.filter((agent) => isOpen(yard, agent)).length,
    free: members.filter((agent) => isOpen(yard, agent) && agent.usedSlots < (agent.group?.capacity.slots ?? 0)).length,
    why: whyHeld(pool, now) ?? degradedText(pool, now),
    retriesLeft: Math.floor(budgetLeft(pool.retries, poolRetryBurst, poolRetryPerSecond, now)),
  };
}

/** Whether a canary build may come there. */
function isOpen({ fleet }: Yard, agent: AgentNode): boolean {
  const keeper = fleet.keeperOf(agent);
  return keeper === undefined || keeper === 'pool-degraded';
}

/** Clusters by name. */
export function clusterViews(yard: Yard): readonly ClusterView[] {
  const clusters = [...yard.fleet.clusters.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1));
  return clusters.map(({ name, breaker, errorCount, errorsSince, lastError }) => ({
    name,
    breaker: breakerView(breaker, errorCount, errorsSince, lastError),
  }));
}

/** The pool's own breaker, or that of its cluster. */
function whyHeld(pool: PoolNode, now: TimeMs): string | undefined {
  if (pool.breaker.kind !== 'closed') return poolText(pool, now);
  for (const { cluster } of pool.members)
    return cluster === undefined || cluster.breaker.kind === 'closed' ? undefined : poolText(cluster, now);
  return undefined;
}

/** Numbers for metrics; costs what there are of agents, projects and classes with queued steps. */
export function countsOf(yard: Yard, now: TimeMs): YardCounts {
  const { limits } = yard;
  const agents = { connected: 0, away: 0, draining: 0, cordoned: 0, breakerOpen: 0, breakerHalfOpen: 0 };
  for (const agent of yard.fleet.agents.values()) {
    if (agent.session === undefined) continue;
    if (agent.connected) agents.connected += 1;
    else agents.away += 1;
    if (agent.connected && agent.draining !== undefined) agents.draining += 1;
    if (agent.connected && agent.cordoned !== undefined) agents.cordoned += 1;
    if (agent.breaker.kind === 'open') agents.breakerOpen += 1;
    if (agent.breaker.kind === 'half-open') agents.breakerHalfOpen += 1;
  }
  const queues: { key: string; size: number }[] = [];
  for (let at = 0; at < yard.fleet.active.size; at += 1) {
    const wanted = yard.fleet.active.at(at);
    if (wanted !== undefined) queues.push({ key: wanted.key, size: wanted.queue.size + wanted.parked.size });
  }
  let retriesLeft: number = limits.retryBudgetBurst;
  for (const project of yard.projects.values())
    retriesLeft = Math.min(retriesLeft, budgetLeft(project.retries, limits.retryBudgetBurst, limits.retryBudgetPerSecond, now));
  return { steps: { ...yard.index.counts }, agents, queues, builds: yard.builds.size, projectRetriesLeftMin: Math.floor(retriesLeft) };
}
