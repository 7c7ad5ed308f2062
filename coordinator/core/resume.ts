import { cancelStep } from './builds.ts';
import { endBuildIfOver } from './build-end.ts';
import { savesOf } from './dependency.ts';
import { settleFollowers } from './merge.ts';
import type { BuildNode, StepNode } from './nodes.ts';
import { newestTime } from './queries.ts';
import { failFast } from './settle.ts';
import { unended } from './step-moves.ts';
import { isUnsealed } from './step-record.ts';
import type { Turn } from './turn.ts';
import { publishAgain } from './unsealed.ts';

/**
 * Goes on from what the ledger held. Agents could not reach anybody while nobody led, so that time does not count against a
 * lease, and one that ran out goes on for one TTL. Takeovers in a row do not add up: beyond the absence that has just ended
 * it goes on for no longer than one TTL after its durable expiry. What a crash cut short between two commits (dependents not
 * told, a cancel half done) is finished here.
 */
export function resume(turn: Turn): void {
  const { builds, index, timings, fleet } = turn.yard;
  index.unblocked.length = 0;
  // The last leader was there until the newest time that it wrote, at least.
  const absentMs = turn.now - newestTime(turn.yard);
  for (const agent of fleet.agents.values()) agent.disconnectedAt = turn.now;
  publishAgain(turn);
  for (const build of builds.values()) {
    for (const { id, record } of build.steps) {
      if (record.state.kind === 'ended' && isUnsealed(record)) {
        turn.send({ kind: 'seal', step: id });
        continue;
      }
      const saves = record.state.kind === 'ended' ? savesOf(record.kept) : [];
      if (saves.length > 0) turn.send({ kind: 'keep-dependencies', step: id, saves });
    }
    if (build.state.kind === 'ended') continue;
    for (const step of build.steps) {
      freeze(turn, step, timings.leaseTtlMs, absentMs);
      reviveStep(turn, step);
    }
    finishCancel(turn, build);
    const failed = build.record.spec.failFast ? build.steps.find(failedCritically) : undefined;
    if (failed !== undefined) failFast(turn, build, `${failed.spec.name} did not succeed`);
    endBuildIfOver(turn, build);
  }
}

/**
 * Woken far too late, this process was stopped, or the host's clock was set forward. What agents said meanwhile is still
 * on its way, so no lease ends for that reason alone: each gets one more TTL. Giving a lease more time is always safe.
 */
export function forgiveStall(turn: Turn): void {
  const { timers, timings, fleet, index } = turn.yard;
  const due = timers.next();
  if (due === undefined || turn.now - due <= timings.heartbeatMs) return;
  for (const agent of fleet.agents.values()) {
    for (const step of agent.leases.values()) {
      step.frozenUntil = Math.max(step.frozenUntil, turn.now + timings.leaseTtlMs);
      index.setTimer(step);
    }
  }
}

function freeze(turn: Turn, step: StepNode, ttlMs: number, absentMs: number): void {
  const { state } = step.record;
  if (state.kind !== 'offered' && state.kind !== 'running') return;
  step.frozenUntil = Math.min(state.lease.expiresAt + absentMs, turn.now) + ttlMs;
  turn.sawToken(state.lease.token);
  turn.yard.index.setTimer(step);
}

function reviveStep(turn: Turn, step: StepNode): void {
  const { state } = step.record;
  for (const { token } of step.record.attempts) turn.sawToken(token);
  if (state.kind === 'blocked' && step.waiting === 0) turn.yard.index.unblocked.push(step);
  if (state.kind === 'resolving') turn.resolving.push(step);
  if (state.kind === 'merged') {
    const primary = turn.yard.steps.get(state.into);
    if (primary !== undefined) settleFollowers(turn, primary);
    // Its primary's build has left the ledger.
    else cancelStep(turn, step, { kind: 'cancelled', by: 'switchyard', reason: `${state.into} is not known any more` });
  }
}

function finishCancel(turn: Turn, build: BuildNode): void {
  if (build.state.kind !== 'running' || build.state.cancelling === undefined) return;
  const { by, reason } = build.state.cancelling;
  for (const step of unended(build)) cancelStep(turn, step, { kind: 'cancelled', by, reason });
}

function failedCritically(step: StepNode): boolean {
  const { state } = step.record;
  return state.kind === 'ended' && step.spec.critical && !['succeeded', 'skipped', 'cancelled'].includes(state.outcome.kind);
}
