import type { AgentId, BuildId, StepId } from '../../coordinator/core/ids.ts';
import { buildOf } from '../../coordinator/core/ids.ts';
import type { BuildEvent, BuildRecord, LedgerRecord } from '../../coordinator/core/record.ts';
import type { StepSpec } from '../../coordinator/core/spec.ts';
import type { BuildState, Hold, Lease, SessionRecord, StepRecord, TopologyRevision } from '../../coordinator/core/state.ts';

/** What a record did to a step. */
export type StepChange = { readonly id: StepId; readonly before: StepRecord | undefined; readonly after: StepRecord };

/** The state that a sequence of records stands for, worked out without the core. */
export class Image {
  readonly builds = new Map<BuildId, BuildRecord>();
  readonly buildStates = new Map<BuildId, BuildState>();
  readonly specs = new Map<StepId, StepSpec>();
  readonly steps = new Map<StepId, StepRecord>();
  readonly sessions = new Map<AgentId, SessionRecord>();
  readonly holds = new Map<string, Hold>();
  readonly events = new Map<BuildId, BuildEvent[]>();
  /** Builds that left, and how they had ended. */
  readonly topologies = new Map<number, TopologyRevision>();
  readonly forgotten = new Map<BuildId, BuildState | undefined>();

  apply(record: LedgerRecord): StepChange | undefined {
    switch (record.kind) {
      case 'build':
        this.builds.set(record.build.id, record.build);
        return undefined;
      case 'build-state':
        this.buildStates.set(record.id, record.state);
        return undefined;
      case 'step-spec':
        this.specs.set(record.id, record.spec);
        return undefined;
      case 'step': {
        const before = this.steps.get(record.id);
        this.steps.set(record.id, record.step);
        return { id: record.id, before, after: record.step };
      }
      case 'session':
        this.sessions.set(record.agent, record.session);
        return undefined;
      case 'agent-forgotten':
        this.sessions.delete(record.agent);
        return undefined;
      case 'hold':
        this.holds.set(record.hold.target, record.hold);
        return undefined;
      case 'hold-lifted':
        this.holds.delete(record.target);
        return undefined;
      case 'topology':
        this.topologies.set(record.revision.revision, record.revision);
        return undefined;
      case 'topology-forgotten':
        this.topologies.delete(record.revision);
        return undefined;
      case 'event': {
        const events = this.events.get(record.build) ?? [];
        this.events.set(record.build, events);
        events[record.event.seq - 1] = record.event;
        return undefined;
      }
      case 'build-forgotten':
        this.forgotten.set(record.id, this.buildStates.get(record.id));
        this.#drop(record.id);
        return undefined;
      default:
        return record satisfies never;
    }
  }

  /** What is left of submissions that broke off is gone once another term begins. */
  dropOrphans(): void {
    const owners = [...this.buildStates.keys(), ...this.events.keys(), ...[...this.steps.keys(), ...this.specs.keys()].map(buildOf)];
    for (const id of new Set(owners)) if (!this.builds.has(id)) this.#drop(id);
  }

  clear(): void {
    for (const field of ['builds', 'buildStates', 'specs', 'steps', 'sessions', 'holds', 'topologies', 'forgotten', 'events'] as const)
      this[field].clear();
  }

  /** The steps that have a lease now. */
  *leases(): Iterable<{ readonly id: StepId; readonly lease: Lease; readonly record: StepRecord }> {
    for (const [id, record] of this.steps) {
      const lease = leaseOf(record);
      if (lease !== undefined) yield { id, lease, record };
    }
  }

  #drop(id: BuildId): void {
    this.builds.delete(id);
    this.buildStates.delete(id);
    this.events.delete(id);
    for (const step of this.steps.keys()) if (buildOf(step) === id) this.steps.delete(step);
    for (const step of this.specs.keys()) if (buildOf(step) === id) this.specs.delete(step);
  }
}

/** The lease that a step has in this state. */
export function leaseOf(record: StepRecord | undefined): Lease | undefined {
  const state = record?.state;
  return state?.kind === 'offered' || state?.kind === 'running' ? state.lease : undefined;
}
