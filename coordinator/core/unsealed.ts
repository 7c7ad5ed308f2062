import { backoffMs } from '../../base/backoff.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import { savesOf } from './dependency.ts';
import type { StepNode } from './nodes.ts';
import type { StepOutcome } from './state.ts';
import { closeAttempt, end, queue, resolve } from './step-moves.ts';
import { withoutOutputs } from './retry.ts';
import { isUnsealed, type Draft } from './step-record.ts';
import { nextSeq, type Turn } from './turn.ts';
import { stepName } from './yard.ts';

/**
 * Steps go on while the store behind the data plane is away: what they leave is staged on the data plane's disk, and those that need
 * it read it there. Such a step has finished unsealed: it counts as ended, and its entries are published once the store has its bytes.
 * Where those are lost before that, and somebody needs them, it runs again.
 */

/** Waits of a step whose inputs cannot be read because the store is away. */
const STORE_AWAY = { initialMs: 2_000, maxMs: 30_000 };
const STORE_AWAY_MIN_MS = 1_000;

/** Has what the step left written into the cache: entries for all that may be kept of it. */
export function publishResult(turn: Turn, step: StepNode): void {
  const { state, action, kept } = step.record;
  if (state.kind !== 'ended' || state.outcome.kind !== 'succeeded' || state.outcome.from !== 'run') return;
  const { result } = state.outcome;
  if (step.spec.cacheable && action?.action !== undefined && result.exitCode === 0) {
    turn.send({ kind: 'publish', step: step.id, action: action.action, result });
  }
  const saves = savesOf(kept);
  if (saves.length > 0) turn.send({ kind: 'keep-dependencies', step: step.id, saves });
}

/** It ends while what is its result is staged only. */
export function endUnsealed(turn: Turn, step: StepNode, since: TimeMs, outcome: StepOutcome, draft: Draft): void {
  draft.unsealed = { since, sealedAt: undefined };
  end(turn, step, outcome, draft);
  turn.yard.tally.unsealed += 1;
  turn.send({ kind: 'seal', step: step.id });
}

/** The store has what the step left. */
export function takeSealed(turn: Turn, step: StepNode): void {
  const { state, unsealed } = step.record;
  if (unsealed === undefined || !isUnsealed(step.record) || state.kind !== 'ended') return;
  turn.change(step, { ...step.record, unsealed: { since: unsealed.since, sealedAt: turn.now } });
  publishResult(turn, step);
}

/**
 * What steps of these names left has gone, and the step cannot go on without it: they run again and the step waits for them. Whether that
 * can be done: not for steps that change the world beside their outputs, nor without end.
 */
export function rerunProducers(turn: Turn, step: StepNode, names: readonly string[]): boolean {
  const producers = step.needs.filter((need) => names.includes(stepName(need)));
  if (producers.length === 0 || !producers.every((producer) => mayRerun(turn, producer))) return false;
  turn.change(step, { ...step.record, state: { kind: 'blocked' }, action: undefined, readyAt: undefined });
  for (const producer of producers) {
    // Another step that needs it may have found out before.
    if (producer.record.state.kind !== 'ended') continue;
    turn.yard.tally.reruns += 1;
    resolve(turn, producer, {
      ...producer.record,
      action: undefined,
      failures: {},
      readyAt: turn.now,
      reruns: (producer.record.reruns ?? 0) + 1,
    });
  }
  return true;
}

function mayRerun(turn: Turn, { spec, record }: StepNode): boolean {
  if (spec.sideEffects && spec.retry.limits['agent-lost'] === 0) return false;
  return record.state.kind !== 'ended' || (record.reruns ?? 0) < turn.yard.limits.rerunsPerStep;
}

/** Whether an attempt failed for want of the store, with nothing done that must not be done twice. */
export function isStoreAway(step: StepNode, report: AttemptReport): boolean {
  return report.kind === 'failed' && report.storeAway === true && (report.result === undefined || !step.spec.sideEffects);
}

/** The attempt counts for nothing: the step is tried again until its time is over. */
export function waitForStore(turn: Turn, step: StepNode, report: Extract<AttemptReport, { kind: 'failed' }>): void {
  const { state } = step.record;
  if (state.kind !== 'running') return;
  const { agent, attempt } = state.lease;
  const why = `${report.class}: ${report.message}`;
  turn.yard.tally.attempts[report.class] += 1;
  turn.say(step.build, { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-ended', step: stepName(step), attempt, agent, why });
  const draft = { ...step.record, attempts: closeAttempt(step, { endedAt: turn.now, report: withoutOutputs(report) }) };
  if (step.needs.some((need) => isUnsealed(need.record))) return resolve(turn, step, draft); // what it needs may be gone
  const waitMs = STORE_AWAY_MIN_MS + backoffMs(STORE_AWAY, Math.min(attempt - 1, 10), turn.prng);
  queue(turn, step, turn.now + waitMs, 'the store did not answer', draft);
}

/** What is told of builds that went on without the store, a sentence each. */
export function unsealedLines(steps: readonly StepNode[]): readonly string[] {
  const waiting = steps.filter((step) => isUnsealed(step.record)).map(stepName);
  const sealed = steps.filter((step) => step.record.unsealed?.sealedAt !== undefined).map(stepName);
  const again = steps.filter((step) => (step.record.reruns ?? 0) > 0).map(stepName);
  const lines: string[] = [];
  if (waiting.length > 0)
    lines.push(`${list(waiting)}: the store did not answer; what was left is staged on a disk, and published once the store has it`);
  if (sealed.length > 0) lines.push(`${list(sealed)}: the store did not answer; what was left was staged, and has been published since`);
  if (again.length > 0) lines.push(`${list(again)}: ran again, because what was left had gone before others could use it`);
  return lines;
}

function list(names: readonly string[]): string {
  return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}
