import { sameValue } from '../../base/same.ts';
import { projectRules, type Topology } from '../../topology/model.ts';
import { breaksRule } from '../../topology/submission.ts';
import { checkBuild, type Refusal } from './admission.ts';
import type { Event } from './event.ts';
import { cancelRunning } from './leases.ts';
import { endAndHandOver } from './merge.ts';
import type { BuildNode, StepNode } from './nodes.ts';
import { checkQuota } from './project-quota.ts';
import { checkReserved, isCanary } from './canary.ts';
import { isActionSpec, type BuildSpec, type StepSpec } from './spec.ts';
import type { StepOutcome } from './state.ts';
import { end, resolve, unended, withdraw } from './step-moves.ts';
import { isSuccess, type Draft } from './step-record.ts';
import { checkTrust } from './trust.ts';
import type { Turn } from './turn.ts';
import { keyOf, stepName } from './yard.ts';

/** What people do with builds: submit, cancel, retry, forget. */

type Submitted = Extract<Event, { kind: 'build-submitted' }>;

export function submit(turn: Turn, event: Submitted): void {
  const { spec, id } = event;
  const existing = turn.yard.byKey.get(keyOf(spec, event.idempotencyKey));
  if (existing !== undefined) {
    if (isOf(existing, spec)) return void (turn.reply = { kind: 'build', id: existing.id, existing: true });
    const message = `The idempotency key "${event.idempotencyKey}" belongs to build ${existing.id}, which is another request`;
    return void (turn.reply = { kind: 'refused', code: 'IDEMPOTENCY_CONFLICT', message, field: 'idempotency_key' });
  }
  const refusal =
    checkReserved(spec) ??
    checkBuild(spec, turn.yard.limits) ??
    checkTrust(turn.yard.fleet.topology, spec) ??
    checkRules(turn.yard.fleet.topology, spec) ??
    checkQuota(turn.yard.fleet.topology, spec);
  if (refusal !== undefined) return void (turn.reply = { kind: 'refused', ...refusal });
  const unfinished = turn.yard.projects.get(spec.project)?.unfinishedCount ?? 0;
  const { unfinishedSteps } = projectRules(turn.yard.fleet.topology, spec.project);
  const unfinishedStepsPerProject = Math.min(unfinishedSteps ?? Infinity, turn.yard.limits.unfinishedStepsPerProject);
  if (unfinished + spec.steps.length > unfinishedStepsPerProject) {
    const message = `Project ${spec.project} has ${unfinished} unfinished steps; with these ${spec.steps.length} it would have more than ${unfinishedStepsPerProject}`;
    return void (turn.reply = { kind: 'refused', code: 'LIMIT_EXCEEDED', message, field: 'steps', retryAfterMs: 10_000 });
  }
  writeBuild(turn, event);
  turn.reply = { kind: 'build', id, existing: false };
}

/** Whether a submission like this one made the build. */
function isOf(build: BuildNode, { steps, ...rest }: BuildSpec): boolean {
  return (
    sameValue(build.record.spec, rest) &&
    sameValue(
      build.steps.map(({ spec }) => spec),
      steps,
    )
  );
}

/** What the topology asks of builds; an action of a build tool, or a canary, can say nothing of itself. */
function checkRules({ builds }: Topology, spec: BuildSpec): Refusal | undefined {
  const broken = isActionSpec(spec) || isCanary(spec) ? undefined : breaksRule(builds, spec);
  return broken === undefined ? undefined : { code: 'BAD_REQUEST', ...broken };
}

/**
 * The build record goes last: with it the submission is accepted, without it the rest is garbage. Steps that need nothing
 * are ready from the start.
 */
function writeBuild(turn: Turn, event: Submitted): void {
  const { steps: specs, ...spec } = event.spec;
  const { id, idempotencyKey } = event;
  const at = turn.now;
  const record = { id, spec, stepNames: specs.map((step) => step.name), acceptedAt: at, idempotencyKey };
  const { steps } = turn.yard.accept(record, specs);
  turn.keep({ kind: 'event', build: id, event: { seq: 1, at, kind: 'build-accepted' } });
  for (const step of steps) turn.keep({ kind: 'step-spec', id: step.id, spec: step.spec });
  let seq = 1;
  for (const step of steps) {
    if (!isRoot(step.spec)) {
      turn.keep({ kind: 'step', id: step.id, step: step.record });
      continue;
    }
    seq += 1;
    turn.keep({ kind: 'event', build: id, event: { seq, at, kind: 'step-ready', step: step.spec.name } });
    turn.put({ kind: 'step', id: step.id, step: { ...step.record, state: { kind: 'resolving' }, readyAt: at, lastEventSeq: seq } });
    turn.resolving.push(step);
  }
  turn.keep({ kind: 'build', build: record });
  for (const step of steps) if (step.waiting === 0 && step.record.state.kind === 'blocked') turn.yard.index.unblocked.push(step);
}

function isRoot(step: StepSpec): boolean {
  return step.needs.length === 0 && step.runIf !== 'failed';
}

export function cancelBuild(turn: Turn, event: Extract<Event, { kind: 'build-cancelled' }>): void {
  const build = turn.yard.builds.get(event.id);
  if (build === undefined) return void (turn.reply = { kind: 'refused', code: 'BUILD_UNKNOWN', message: `There is no build ${event.id}` });
  turn.reply = { kind: 'done' };
  if (build.state.kind === 'ended' || build.state.cancelling !== undefined) return;
  const { by, reason } = event;
  turn.changeBuild(build, { ...build.state, cancelling: { by, reason } });
  for (const step of unended(build)) cancelStep(turn, step, { kind: 'cancelled', by, reason });
}

export function cancelOne(turn: Turn, event: Extract<Event, { kind: 'step-cancelled' }>): void {
  const step = turn.yard.steps.get(event.step);
  if (step === undefined) return void (turn.reply = { kind: 'refused', code: 'STEP_UNKNOWN', message: `There is no step ${event.step}` });
  turn.reply = { kind: 'done' };
  cancelStep(turn, step, { kind: 'cancelled', by: event.by, reason: event.reason });
}

type Stop = Extract<StepOutcome, { kind: 'cancelled' } | { kind: 'timed-out' }>;

/** Ends the step at once where nothing runs for it alone; otherwise its agent is told to stop. */
export function cancelStep(turn: Turn, step: StepNode, stop: Stop): void {
  const { state } = step.record;
  switch (state.kind) {
    case 'ended':
      return;
    case 'blocked':
    case 'resolving':
    case 'merged':
      return end(turn, step, stop);
    case 'queued':
      return endAndHandOver(turn, step, stop);
    case 'offered':
      if (!turn.yard.index.followers.has(step.id)) {
        withdraw(turn, step);
        turn.yard.shares.refund(step, turn.yard.fleet.classOf(step).cost);
      }
      return endAndHandOver(turn, step, stop);
    case 'running':
      if (state.cancelling === undefined && turn.yard.index.followers.has(step.id)) return endAndHandOver(turn, step, stop);
      if (stop.kind === 'cancelled') {
        return cancelRunning(
          turn,
          step,
          { kind: 'cancelled', by: stop.by, reason: stop.reason, at: turn.now },
          `${stop.by}: ${stop.reason}`,
        );
      }
      if (stop.bound === 'queue') return;
      return cancelRunning(turn, step, { kind: 'timed-out', bound: stop.bound, at: turn.now }, `the ${stop.bound} time is over`);
  }
}

/** The build's time is over. */
export function timeOutBuild(turn: Turn, build: BuildNode): void {
  if (build.state.kind === 'ended') return;
  for (const step of unended(build)) cancelStep(turn, step, { kind: 'timed-out', bound: 'build' });
}

export function retryStep(turn: Turn, event: Extract<Event, { kind: 'step-retried' }>): void {
  const step = turn.yard.steps.get(event.step);
  if (step === undefined) return void (turn.reply = { kind: 'refused', code: 'STEP_UNKNOWN', message: `There is no step ${event.step}` });
  const refusal = whyNoRetry(step);
  if (refusal !== undefined) return void (turn.reply = { kind: 'refused', code: 'WRONG_STATE', message: refusal });
  turn.reply = { kind: 'done' };
  const { build } = step;
  const revived = skippedBecauseOf(step);
  if (build.state.kind === 'ended' || build.state.cancelling !== undefined) {
    turn.changeBuild(build, { kind: 'running', cancelling: undefined, since: turn.now });
  }
  for (const other of revived) turn.change(other, { ...freshTry(other), state: { kind: 'blocked' }, readyAt: undefined });
  resolve(turn, step, { ...freshTry(step), readyAt: turn.now });
  // Steps skipped by fail-fast may have had nothing else to wait for.
  for (const other of revived) if (other.waiting === 0 && other.record.state.kind === 'blocked') turn.yard.index.unblocked.push(other);
}

export function forgetBuild(turn: Turn, event: Extract<Event, { kind: 'build-expired' }>): void {
  const build = turn.yard.builds.get(event.id);
  if (build === undefined) return void (turn.reply = { kind: 'refused', code: 'BUILD_UNKNOWN', message: `There is no build ${event.id}` });
  if (build.state.kind !== 'ended')
    return void (turn.reply = { kind: 'refused', code: 'WRONG_STATE', message: `Build ${event.id} has not ended` });
  const { tokens } = turn.yard.index;
  // Its logs go with it: not while a step of another build, which has taken an attempt over, still writes into one.
  const heir = build.steps.flatMap((step) => step.record.attempts.map(({ token }) => turn.yard.stepOf(token))).find(Boolean);
  if (heir !== undefined)
    return void (turn.reply = { kind: 'refused', code: 'WRONG_STATE', message: `Step ${heir.id} goes on with an attempt of ${event.id}` });
  const own = build.steps.flatMap((step) =>
    step.record.attempts.map((attempt) => attempt.token).filter((token) => tokens.get(token) === step),
  );
  turn.put({ kind: 'build-forgotten', id: build.id });
  turn.send({ kind: 'forget-build', id: build.id, tokens: own });
  turn.reply = { kind: 'done' };
}

function whyNoRetry(step: StepNode): string | undefined {
  const { state } = step.record;
  if (state.kind !== 'ended') return `Step ${step.id} has not ended`;
  if (state.outcome.kind === 'succeeded') return `Step ${step.id} succeeded: there is nothing to retry`;
  const missing = step.needs.filter((need) => !isSuccess(need.record));
  if (step.spec.runIf !== 'succeeded' || missing.length === 0) return undefined;
  return `Step ${step.id} needs ${missing.map(stepName).slice(0, 5).join(', ')}, which did not succeed: retry that`;
}

/** What a person's retry forgets: the tries so far count no more, their records stay. */
function freshTry(step: StepNode): Draft {
  return { ...step.record, action: undefined, failures: {}, lostAgents: [] };
}

/** Those that were skipped because of the step, in the order of the submission. */
function skippedBecauseOf(step: StepNode): readonly StepNode[] {
  const found = new Set<StepNode>();
  const pending = [step];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const dependent of next.dependents) {
      if (found.has(dependent) || !wasSkipped(dependent, 'needs')) continue;
      found.add(dependent);
      pending.push(dependent);
    }
  }
  return step.build.steps.filter((other) => other !== step && (found.has(other) || wasSkipped(other, 'fail-fast')));
}

function wasSkipped(step: StepNode, why: 'needs' | 'fail-fast'): boolean {
  const { state } = step.record;
  return state.kind === 'ended' && state.outcome.kind === 'skipped' && state.outcome.why === why;
}
