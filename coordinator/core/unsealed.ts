import { backoffMs } from '../../base/backoff.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import { savesOf } from './dependency.ts';
import type { StepNode } from './nodes.ts';
import type { Outbound } from './outcome.ts';
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

type Publish = Extract<Outbound, { kind: 'publish' }>;

/** Waits of a step whose inputs cannot be read because the store is away. */
const STORE_AWAY = { initialMs: 2_000, maxMs: 30_000 };
const STORE_AWAY_MIN_MS = 1_000;

/** Has what the step left written into the cache: entries for all that may be kept of it. */
export function publishResult(turn: Turn, step: StepNode): void {
  const publish = publishOf(step, false);
  if (publish !== undefined) turn.send(publish);
  const saves = step.record.state.kind === 'ended' && step.record.state.outcome.kind === 'succeeded' ? savesOf(step.record.kept) : [];
  if (saves.length > 0) turn.send({ kind: 'keep-dependencies', step: step.id, saves });
}

/** What is to be told for the step's entry in the action cache; undefined where it is to have none. */
function publishOf({ id, spec, record }: StepNode, again: boolean): Publish | undefined {
  const { state, action, unsealed } = record;
  if (!spec.cacheable || action?.action === undefined || state.kind !== 'ended') return undefined;
  if (state.outcome.kind !== 'succeeded' || state.outcome.from !== 'run' || state.outcome.result.exitCode !== 0) return undefined;
  return { kind: 'publish', step: id, action: action.action, result: state.outcome.result, since: unsealed?.since, again };
}

/**
 * Has the entries written once more that may have waited in the last leader's memory when it ended. That they were written is not
 * recorded, which would cost each step a record more, so it is done for all that ended not long ago; what is there already stays.
 */
export function publishAgain(turn: Turn): void {
  const { builds, limits } = turn.yard;
  const endedAfter = turn.now - limits.publishedAgainMs;
  const sends: { readonly at: TimeMs; readonly publish: Publish }[] = [];
  for (const build of builds.values()) {
    for (const step of build.steps) {
      const { state, unsealed, unkept } = step.record;
      if (state.kind !== 'ended' || state.at < endedAfter || unsealed !== undefined || unkept === true) continue;
      const publish = publishOf(step, true);
      if (publish !== undefined) sends.push({ at: state.at, publish });
    }
  }
  const newest = sends.toSorted((left, right) => left.at - right.at).slice(-limits.publishedAgain);
  for (const { publish } of newest) turn.send(publish);
}

/** It ends while what is its result is staged only. */
export function endUnsealed(turn: Turn, step: StepNode, since: TimeMs, outcome: StepOutcome, draft: Draft): void {
  draft.unsealed = { since, sealedAt: undefined };
  end(turn, step, outcome, draft);
  turn.yard.tally.unsealed += 1;
  turn.send({ kind: 'seal', step: step.id });
}

/**
 * The store has what the step left. That counts only when the entry is written, too: until then a new leader begins with the question to
 * the store again, so that the entry is not lost with the one that was to write it.
 */
export function takeSealed(turn: Turn, step: StepNode): void {
  if (!isUnsealed(step.record) || step.record.state.kind !== 'ended') return;
  if (publishOf(step, false) === undefined) markSealed(turn, step, step.record.unkept);
  publishResult(turn, step);
}

/**
 * The step's entry is written, or never will be. `since` says of which end that is told, where it was staged: it may have run again. Of
 * all others only what was not written is told.
 */
export function takePublished(turn: Turn, step: StepNode, since: TimeMs | undefined, written: boolean): void {
  const { state, unsealed } = step.record;
  if (state.kind !== 'ended' || unsealed?.since !== since) return;
  if (isUnsealed(step.record)) markSealed(turn, step, written ? undefined : true);
  else if (!written && step.record.unkept !== true) turn.change(step, { ...step.record, unkept: true });
}

function markSealed(turn: Turn, step: StepNode, unkept: true | undefined): void {
  const since = step.record.unsealed?.since ?? turn.now;
  const sealed = { ...step.record, unsealed: { since, sealedAt: turn.now } };
  turn.change(step, unkept === undefined ? sealed : { ...sealed, unkept });
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
  const sealed = steps.filter(({ record }) => record.unsealed?.sealedAt !== undefined && record.unkept !== true).map(stepName);
  const unkept = steps.filter((step) => step.record.unkept === true).map(stepName);
  const again = steps.filter((step) => (step.record.reruns ?? 0) > 0).map(stepName);
  const lines: string[] = [];
  if (waiting.length > 0)
    lines.push(`${list(waiting)}: the store did not answer; what was left is staged on a disk, and published once the store has it`);
  if (sealed.length > 0) lines.push(`${list(sealed)}: the store did not answer; what was left was staged, and has been published since`);
  if (unkept.length > 0) lines.push(`${list(unkept)}: the entry could not be written into the action cache, so equal steps run again`);
  if (again.length > 0) lines.push(`${list(again)}: ran again, because what was left had gone before others could use it`);
  return lines;
}

function list(names: readonly string[]): string {
  return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}
