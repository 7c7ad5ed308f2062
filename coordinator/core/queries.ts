import { present } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { AgentNode, BuildNode, StepNode } from './nodes.ts';
import { leaseOf } from './step-record.ts';
import type { AgentView, BuildFilter, BuildView, LeaseView } from './view.ts';
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
export function agentView(yard: Yard, agent: AgentNode): AgentView | undefined {
  const { session } = agent;
  if (session === undefined) return undefined;
  const { capacity } = session.facts;
  const keptFrom = yard.fleet.keptFrom(agent);
  const custom = Object.entries(capacity.custom).map(
    ([name, count]) => [name, Math.max(0, count - (agent.usedCustom.get(name) ?? 0))] as const,
  );
  return {
    id: agent.id,
    session: session.session,
    connected: agent.connected,
    draining: agent.draining !== undefined,
    facts: session.facts,
    registeredAt: session.registeredAt,
    free: {
      cpuMillis: Math.max(0, capacity.cpuMillis - agent.usedCpuMillis),
      memoryBytes: Math.max(0, capacity.memoryBytes - agent.usedMemoryBytes),
      slots: Math.max(0, capacity.slots - agent.usedSlots),
      custom: Object.fromEntries(custom),
    },
    running: [...agent.leases.values()].map((step) => step.id),
    credits: agent.credits,
    breaker: agent.breaker.kind,
    keptFrom: keptFrom === undefined ? [] : [keptFrom],
  };
}
