import type { StepNode } from './nodes.ts';
import type { StepOutcome } from './state.ts';
import { closeAttempt, end, queue } from './step-moves.ts';
import { isUnsealed } from './step-record.ts';
import { nextSeq, type Turn } from './turn.ts';
import { endUnsealed } from './unsealed.ts';
import { stepName } from './yard.ts';

/**
 * Steps that do the same for the same people share one run: the primary's. A follower is a step like any other but for
 * that; it can be cancelled or time out alone, and takes the primary's place when that one goes.
 */

/** Ends the primary; its first follower takes over its place in the queue or its lease, token and log included. */
export function endAndHandOver(turn: Turn, step: StepNode, outcome: StepOutcome): void {
  const followers = [...(turn.yard.index.followers.get(step.id) ?? [])];
  const [heir, ...others] = followers;
  const { state, attempts, attemptCount, failures, lostAgents, avoid } = step.record;
  const running = state.kind === 'running';
  end(turn, step, outcome, running ? { ...step.record, attempts: closeAttempt(step, { endedAt: turn.now }) } : undefined);
  if (heir === undefined) return;
  if (state.kind === 'queued') {
    queue(turn, heir, state.notBefore, `takes over from ${step.id}`, { ...heir.record, failures, lostAgents, avoid });
  } else if (state.kind === 'offered') {
    const count = Math.max(heir.record.attemptCount, attemptCount);
    turn.change(heir, { ...heir.record, state, attemptCount: count, failures, lostAgents, avoid });
  } else if (state.kind === 'running') {
    const attempt = { token: state.lease.token, attempt: state.lease.attempt, agent: state.lease.agent, step: stepName(heir) };
    const held = attempts.at(-1);
    const kept = held === undefined ? [] : [held];
    turn.change(
      heir,
      { ...heir.record, state, attempts: kept, attemptCount, failures, lostAgents, avoid },
      { seq: nextSeq(heir.build), at: turn.now, kind: 'attempt-accepted', ...attempt },
    );
    if (state.startedAt !== undefined) {
      const { token: _, ...started } = attempt;
      turn.change(heir, { ...heir.record }, { seq: nextSeq(heir.build), at: turn.now, kind: 'attempt-started', ...started });
    }
  }
  for (const other of others) follow(turn, other, heir);
}

/** `step` waits for the result of `primary`. */
export function follow(turn: Turn, step: StepNode, primary: StepNode): void {
  turn.change(
    step,
    { ...step.record, state: { kind: 'merged', into: primary.id } },
    { seq: nextSeq(step.build), at: turn.now, kind: 'step-merged', step: stepName(step), into: primary.id },
  );
}

/** The primary has ended: its followers share its result, or go on by themselves. */
export function settleFollowers(turn: Turn, primary: StepNode): void {
  const followers = turn.yard.index.followers.get(primary.id);
  if (followers === undefined || primary.record.state.kind !== 'ended') return;
  const { outcome } = primary.record.state;
  let heir: StepNode | undefined;
  for (const follower of [...followers]) {
    const shared = sharedOutcome(primary, follower, outcome);
    const { unsealed } = primary.record;
    const draft = { ...follower.record, endOf: primary.id };
    if (shared !== undefined && unsealed !== undefined && isUnsealed(primary.record))
      endUnsealed(turn, follower, unsealed.since, shared, draft);
    else if (shared !== undefined) end(turn, follower, shared, draft);
    else if (heir !== undefined) follow(turn, follower, heir);
    else {
      heir = follower;
      queue(turn, follower, undefined, `${primary.id} ended without a result to share`);
    }
  }
}

/** What the primary's end means for a follower; undefined = it has to try by itself. */
function sharedOutcome(primary: StepNode, follower: StepNode, outcome: StepOutcome): StepOutcome | undefined {
  switch (outcome.kind) {
    case 'succeeded':
      return { kind: 'succeeded', from: 'merge', result: outcome.result };
    case 'failed':
    case 'errored':
      // Not where the follower's own policy would have tried once more.
      if (outcome.class === 'cancelled') return undefined;
      return follower.spec.retry.limits[outcome.class] <= primary.spec.retry.limits[outcome.class] ? outcome : undefined;
    case 'quarantined':
      return outcome;
    case 'timed-out':
    case 'cancelled':
    case 'skipped':
      return undefined;
  }
}
