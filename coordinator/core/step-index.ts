import { assert } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import { resourcesKey } from './classes.ts';
import type { LeaseToken, StepId } from './ids.ts';
import type { StepNode } from './nodes.ts';
import type { Lease, ResolvedAction, StepRecord, StepState } from './state.ts';
import { chargeProject } from './project-quota.ts';
import { rankOf } from './queue.ts';
import { leaseOf } from './step-record.ts';
import type { Yard } from './yard.ts';

/**
 * What follows from a step's record: queues, leases, loads, merges, waiting dependents, and the step's timer. `set` leaves
 * the indexes of the old record and enters those of the new one.
 */
export class StepIndex {
  /** Steps by the tokens of their current lease and of the attempts that they remember. */
  readonly tokens = new Map<LeaseToken, StepNode>();
  /** By merge key, the step that works for all of that key. */
  readonly primaries = new Map<string, StepNode>();
  /** Steps that are merged into the step of that id. */
  readonly followers = new Map<StepId, Set<StepNode>>();
  /** Blocked steps whose last need has ended since this was emptied last. */
  readonly unblocked: StepNode[] = [];
  /** How many steps are in each state. */
  readonly counts: Record<StepState['kind'], number> = { blocked: 0, resolving: 0, queued: 0, offered: 0, running: 0, merged: 0, ended: 0 };
  readonly #yard: Yard;

  constructor(yard: Yard) {
    this.#yard = yard;
  }

  set(step: StepNode, next: StepRecord): void {
    const previous = step.record;
    const before = leaseOf(previous);
    const after = leaseOf(next);
    this.counts[previous.state.kind] -= 1;
    this.counts[next.state.kind] += 1;
    if (before !== undefined && after !== undefined && before.token === after.token) {
      step.record = next;
      if (previous.state.kind === 'offered' && next.state.kind === 'running') this.#accepted(step, after);
    } else {
      this.#leave(step);
      step.record = next;
      if (next.action !== previous.action) {
        this.#unlead(step);
        step.mergeKey = mergeKeyOf(step, next.action);
      }
      this.#enter(step);
      this.#lead(step);
    }
    if (next.attempts !== previous.attempts) this.#remember(step, previous.attempts, next.attempts);
    this.setTimer(step);
  }

  /** The step that is under the lease of that token. */
  stepOfLease(token: LeaseToken): StepNode | undefined {
    const step = this.tokens.get(token);
    return step !== undefined && leaseOf(step.record)?.token === token ? step : undefined;
  }

  /** The step comes into being. */
  add(step: StepNode): void {
    this.counts[step.record.state.kind] += 1;
  }

  /** The step leaves the core. */
  drop(step: StepNode): void {
    this.counts[step.record.state.kind] -= 1;
    for (const { token } of step.record.attempts) if (this.tokens.get(token) === step) this.tokens.delete(token);
    this.#leave(step);
    this.#unlead(step);
    if (step.record.state.kind !== 'ended') step.build.project.unfinishedCount -= 1;
    this.#yard.timers.set(step.timer, undefined);
  }

  setTimer(step: StepNode): void {
    this.#yard.timers.set(step.timer, this.#dueAt(step));
  }

  /** When the step's total time is over. */
  totalAt(step: StepNode): TimeMs | undefined {
    const { totalTimeoutMs } = step.spec;
    const { readyAt } = step.record;
    return totalTimeoutMs === undefined || readyAt === undefined ? undefined : readyAt + totalTimeoutMs;
  }

  /** When the step has waited too long for its first attempt, and what happens then. */
  startBound(step: StepNode): { readonly at: TimeMs; readonly kind: 'queue' | 'lag' } | undefined {
    const { readyAt, attemptCount, state } = step.record;
    if (readyAt === undefined || attemptCount > 0) return undefined;
    if (state.kind === 'merged' && (this.#yard.steps.get(state.into)?.record.attemptCount ?? 0) > 0) return undefined;
    const lag = step.spec.onLag?.afterMs ?? Number.POSITIVE_INFINITY;
    const queue = step.spec.queueTimeoutMs ?? Number.POSITIVE_INFINITY;
    if (lag === Number.POSITIVE_INFINITY && queue === Number.POSITIVE_INFINITY) return undefined;
    return lag <= queue ? { at: readyAt + lag, kind: 'lag' } : { at: readyAt + queue, kind: 'queue' };
  }

  #dueAt(step: StepNode): TimeMs | undefined {
    const { state } = step.record;
    switch (state.kind) {
      case 'blocked':
      case 'ended':
        return undefined;
      case 'running': {
        const over = Math.max(state.lease.expiresAt, step.frozenUntil);
        return state.cancelling === undefined ? earliest(over, this.totalAt(step)) : over;
      }
      case 'offered':
        return earliest(Math.max(state.offerExpiresAt, step.frozenUntil), this.totalAt(step));
      case 'resolving':
        return earliest(earliest(step.resolveAt, this.totalAt(step)), this.startBound(step)?.at);
      case 'queued': {
        const wait = step.delayed ? state.notBefore : step.parkedUntil;
        return earliest(earliest(wait, this.totalAt(step)), this.startBound(step)?.at);
      }
      case 'merged':
        return earliest(this.totalAt(step), this.startBound(step)?.at);
    }
  }

  #leave(step: StepNode): void {
    const { state } = step.record;
    switch (state.kind) {
      case 'queued':
        step.delayed = false;
        this.#yard.fleet.dequeue(step);
        // An idle class waits for nothing.
        if (step.requirements !== undefined && !this.#yard.fleet.active.has(step.requirements))
          this.#yard.timers.set(step.requirements.timer, undefined);
        break;
      case 'offered':
      case 'running':
        this.#release(step, state.lease, state.kind === 'offered');
        break;
      case 'merged': {
        const followers = this.followers.get(state.into);
        followers?.delete(step);
        if (followers?.size === 0) this.followers.delete(state.into);
        break;
      }
      case 'ended':
        step.build.endedCount -= 1;
        step.build.project.unfinishedCount += 1;
        if (state.outcome.kind === 'succeeded' && state.outcome.from === 'cache') step.build.fromCacheCount -= 1;
        for (const dependent of step.dependents) dependent.waiting += 1;
        break;
      case 'blocked':
      case 'resolving':
        break;
    }
  }

  #enter(step: StepNode): void {
    const { state } = step.record;
    switch (state.kind) {
      case 'queued':
        this.#yard.shares.join(step.build);
        step.rank = rankOf(step.spec.priority, step.record.readyAt ?? 0, this.#yard.timings.ageingMs);
        step.delayed = state.notBefore !== undefined;
        if (!step.delayed) this.#yard.fleet.enqueue(step);
        break;
      case 'offered':
      case 'running':
        this.#hold(step, state.lease, state.kind === 'offered');
        break;
      case 'merged': {
        const followers = this.followers.get(state.into);
        if (followers === undefined) this.followers.set(state.into, new Set([step]));
        else followers.add(step);
        break;
      }
      case 'ended':
        step.build.endedCount += 1;
        step.build.project.unfinishedCount -= 1;
        if (state.outcome.kind === 'succeeded' && state.outcome.from === 'cache') step.build.fromCacheCount += 1;
        for (const dependent of step.dependents) {
          dependent.waiting -= 1;
          if (dependent.waiting === 0 && dependent.record.state.kind === 'blocked') this.unblocked.push(dependent);
        }
        break;
      case 'blocked':
      case 'resolving':
        break;
    }
  }

  /** Steps with the same action find this one while it is on its way to a result, where it is the first. */
  #lead(step: StepNode): void {
    const { kind } = step.record.state;
    const { mergeKey } = step;
    if (mergeKey === undefined) return;
    const underWay = kind === 'queued' || kind === 'offered' || kind === 'running';
    if (!underWay) return this.#unlead(step);
    if (step.isPrimary || this.primaries.has(mergeKey)) return;
    this.primaries.set(mergeKey, step);
    step.isPrimary = true;
  }

  #unlead(step: StepNode): void {
    if (!step.isPrimary || step.mergeKey === undefined) return;
    this.primaries.delete(step.mergeKey);
    step.isPrimary = false;
  }

  #hold(step: StepNode, lease: Lease, offered: boolean): void {
    const holder = this.stepOfLease(lease.token);
    assert(holder === undefined || holder === step, 'a token stands for one lease');
    const agent = this.#yard.fleet.agent(lease.agent);
    this.tokens.set(lease.token, step);
    agent.leases.set(lease.token, step);
    if (offered) agent.offeredCount += 1;
    this.#yard.timers.set(agent.timer, undefined);
    this.#yard.shares.hold(step, this.#yard.fleet.classOf(step).cost, 1);
    this.#chargeQuota(step, 1);
    this.#yard.fleet.charge(agent, step, 1);
  }

  #release(step: StepNode, lease: Lease, offered: boolean): void {
    const agent = this.#yard.fleet.agent(lease.agent);
    if (!remembers(step.record.attempts, lease.token)) this.tokens.delete(lease.token);
    agent.leases.delete(lease.token);
    if (offered) agent.offeredCount -= 1;
    step.frozenUntil = 0;
    this.#yard.shares.hold(step, this.#yard.fleet.classOf(step).cost, -1);
    this.#chargeQuota(step, -1);
    this.#yard.fleet.charge(agent, step, -1);
  }

  #chargeQuota({ build, spec }: StepNode, sign: 1 | -1): void {
    chargeProject(build.project, spec, sign);
    if (build.project.quota !== undefined) this.#yard.fleet.obeyQuota(build.project);
  }

  #accepted(step: StepNode, lease: Lease): void {
    this.#yard.fleet.agent(lease.agent).offeredCount -= 1;
    for (const follower of this.followers.get(step.id) ?? []) this.setTimer(follower);
  }

  /** A token that another step has taken over together with the lease stays that one's. */
  #remember(step: StepNode, previous: StepRecord['attempts'], next: StepRecord['attempts']): void {
    for (const { token } of previous) if (!remembers(next, token) && this.tokens.get(token) === step) this.tokens.delete(token);
    for (const { token } of next) if (!remembers(previous, token) && this.stepOfLease(token) === undefined) this.tokens.set(token, step);
  }
}

function remembers(attempts: StepRecord['attempts'], token: LeaseToken): boolean {
  for (const attempt of attempts) if (attempt.token === token) return true;
  return false;
}

/**
 * Steps with the same key do the same work for the same people: only these may share one run. Undefined = shares with
 * nobody.
 */
export function mergeKeyOf(step: StepNode, action: ResolvedAction | undefined): string | undefined {
  if (action?.action === undefined || !step.spec.cacheable || step.spec.sideEffects || step.spec.given?.lookUp === false) return undefined;
  const { project, scope, zoneCeiling } = step.build.record.spec;
  // The resources are no part of the action, but of the lease that a follower may have to take over.
  return `${project}\n${scope}\n${zoneCeiling}\n${step.spec.zone}\n${resourcesKey(step.spec.resources)}\n${action.action}`;
}

function earliest(left: TimeMs | undefined, right: TimeMs | undefined): TimeMs | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return Math.min(left, right);
}
