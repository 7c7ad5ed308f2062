import { present } from '../../base/assert.ts';
import { isSuccess, leaseOf, type Draft } from './step-record.ts';
import type { BuildNode, StepNode } from './nodes.ts';
import type { AttemptRecord, StepOutcome } from './state.ts';
import { distrusted, trustAtEnd } from './trust.ts';
import { nextSeq, type Turn } from './turn.ts';
import { stepName } from './yard.ts';

/** The moves of a step that more than one rule makes. */

/** Its needs have ended: the step is resolved, or skipped where its condition does not hold. */
export function unblock(turn: Turn, step: StepNode): void {
  const { runIf } = step.spec;
  const unsuccessful = step.needs.filter((need) => !isSuccess(need.record));
  if (runIf === 'succeeded' && unsuccessful.length > 0) {
    const first = present(unsuccessful[0], 'there is at least one');
    const more = unsuccessful.length > 1 ? ` and ${unsuccessful.length - 1} more` : '';
    return skip(turn, step, 'needs', `${stepName(first)}${more} did not succeed`);
  }
  if (runIf === 'failed' && unsuccessful.length === 0) return skip(turn, step, 'needs', 'everything that it needs succeeded');
  resolve(turn, step, { ...step.record, readyAt: turn.now });
}

/** Its action is to be worked out. */
export function resolve(turn: Turn, step: StepNode, draft: Draft): void {
  const low = distrusted(turn.yard, step);
  if (low !== undefined) {
    turn.send({ kind: 'distrusted', step: step.id, why: low });
    return end(turn, step, { kind: 'failed', class: 'output', message: low, result: undefined }, draft);
  }
  draft.state = { kind: 'resolving' };
  if (draft.kept !== undefined) draft.kept = undefined;
  if (draft.unsealed !== undefined) draft.unsealed = undefined;
  if (draft.unkept !== undefined) draft.unkept = undefined;
  if (draft.trust !== undefined) draft.trust = undefined;
  turn.change(step, draft, { seq: nextSeq(step.build), at: turn.now, kind: 'step-ready', step: stepName(step) });
  step.resolveTries = 0;
  step.unresolvedSince = undefined;
  step.resolveAt = undefined;
  turn.resolving.push(step);
}

/** Its action is to be worked out again, not before `notBefore`: a new leader does so at once. */
export function resolveLater(turn: Turn, step: StepNode, notBefore: number, draft: Draft): void {
  resolve(turn, step, draft);
  if (step.record.state.kind !== 'resolving' || notBefore <= turn.now) return;
  turn.resolving.splice(turn.resolving.indexOf(step), 1);
  step.resolveAt = notBefore;
  turn.yard.index.setTimer(step);
}

/** It waits for an agent, not before `notBefore`. */
export function queue(turn: Turn, step: StepNode, notBefore: number | undefined, why: string, draft: Draft = { ...step.record }): void {
  draft.state = { kind: 'queued', notBefore };
  turn.change(step, draft, { seq: nextSeq(step.build), at: turn.now, kind: 'step-queued', step: stepName(step), notBefore, why });
}

/** The end of a step for good. Its dependents and followers hear of it in `settle`. */
export function end(turn: Turn, step: StepNode, outcome: StepOutcome, draft: Draft = { ...step.record }): void {
  draft.state = { kind: 'ended', outcome, at: turn.now };
  const trust = trustAtEnd(turn.yard, step, outcome, draft);
  if (trust !== undefined || draft.trust !== undefined) draft.trust = trust;
  turn.change(step, draft, { seq: nextSeq(step.build), at: turn.now, kind: 'step-ended', step: stepName(step), outcome });
  turn.ended.push(step);
}

export function skip(turn: Turn, step: StepNode, why: 'needs' | 'fail-fast' | 'lagged', detail: string, dependentsRun = false): void {
  end(turn, step, { kind: 'skipped', why, detail, dependentsRun });
}

/** Takes back an offer that was not accepted, from an agent that may still hold it. */
export function withdraw(turn: Turn, step: StepNode): void {
  const lease = leaseOf(step.record);
  if (step.record.state.kind !== 'offered' || lease === undefined) return;
  turn.tell(turn.yard.fleet.agent(lease.agent), { kind: 'offer-withdrawn', token: lease.token });
}

/** The newest attempt with what is known of its end; the others as they are. */
export function closeAttempt(step: StepNode, changes: Partial<AttemptRecord>): readonly AttemptRecord[] {
  const { attempts } = step.record;
  const newest = attempts.at(-1);
  if (newest === undefined) return attempts;
  const closed = { ...newest, ...changes };
  return attempts.length === 1 ? [closed] : [...attempts.slice(0, -1), closed];
}

/** Steps of the build that have not ended, those first that only wait for another one's run. */
export function unended(build: BuildNode): readonly StepNode[] {
  const open = build.steps.filter((step) => step.record.state.kind !== 'ended');
  return [...open.filter((step) => step.record.state.kind === 'merged'), ...open.filter((step) => step.record.state.kind !== 'merged')];
}
