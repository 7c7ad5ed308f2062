import { unreachable } from '../../base/assert.ts';
import { dependencyCachesToProto } from './dependency-view.ts';
import { digestToProto, failureClassToProto, stepResultToProto } from '../../proto/convert.ts';
import type { Attempt } from '../../proto/gen/switchyard/v1/Attempt.ts';
import type { BuildPhase } from '../../proto/gen/switchyard/v1/BuildPhase.ts';
import type { BuildSummary } from '../../proto/gen/switchyard/v1/BuildSummary.ts';
import type { BuildVerdict } from '../../proto/gen/switchyard/v1/BuildVerdict.ts';
import type { ResultSource } from '../../proto/gen/switchyard/v1/ResultSource.ts';
import type { Step } from '../../proto/gen/switchyard/v1/Step.ts';
import type { StepEnded } from '../../proto/gen/switchyard/v1/StepEnded.ts';
import type { StepPhase } from '../../proto/gen/switchyard/v1/StepPhase.ts';
import type { AttemptRecord, BuildOutcome, BuildState, StepOutcome, StepState } from '../core/state.ts';
import type { BuildView, Explanation, StepView } from '../core/view.ts';

/* The core's pictures as the messages of build.proto. */

export function buildSummaryToProto(view: BuildView): BuildSummary {
  const { record, state } = view;
  const ended = state.kind === 'ended' ? state : undefined;
  return {
    id: record.id,
    name: record.spec.name,
    project: record.spec.project,
    phase: buildPhaseToProto(state.kind),
    verdict: ended === undefined ? 'BUILD_VERDICT_UNSPECIFIED' : BUILD_VERDICTS[ended.outcome],
    labels: record.spec.labels,
    submittedBy: record.spec.submittedBy,
    acceptedAtMs: record.acceptedAt,
    endedAtMs: ended?.at ?? 0,
    stepsTotal: record.stepNames.length,
    stepsEnded: view.endedCount,
    stepsFromCache: view.fromCacheCount,
    degraded: [...view.degraded],
  };
}

export const BUILD_VERDICTS = {
  succeeded: 'BUILD_VERDICT_SUCCEEDED',
  failed: 'BUILD_VERDICT_FAILED',
  cancelled: 'BUILD_VERDICT_CANCELLED',
  'timed-out': 'BUILD_VERDICT_TIMED_OUT',
} as const satisfies Record<BuildOutcome, BuildVerdict>;

function buildPhaseToProto(phase: BuildState['kind']): BuildPhase {
  return phase === 'ended' ? 'BUILD_PHASE_ENDED' : 'BUILD_PHASE_RUNNING';
}

/** Small enough for every gRPC client's default bound on a message, 4 MiB. */
const PAGE_BYTES = 2 * 1024 * 1024;

/** The steps from the one at `from` on that go into one answer, and where the next page begins; undefined for the end. */
export function stepsPage(
  views: readonly StepView[],
  from: number,
  bytesMax = PAGE_BYTES,
): { readonly steps: Step[]; readonly next: number | undefined } {
  const steps: Step[] = [];
  let bytes = 0;
  for (let index = from, view = views[index]; view !== undefined; index += 1, view = views[index]) {
    const step = stepToProto(view);
    bytes += Buffer.byteLength(JSON.stringify(step)); // never less than what the message takes
    if (steps.length > 0 && bytes > bytesMax) return { steps, next: index };
    steps.push(step);
  }
  return { steps, next: undefined };
}

function stepToProto(view: StepView): Step {
  const { spec, record } = view;
  const { state } = record;
  const newest = record.attempts.at(-1);
  const startedAt = state.kind === 'running' ? state.startedAt : startOf(state, newest);
  return {
    name: spec.name,
    phase: STEP_PHASES[state.kind],
    ...(state.kind === 'ended' ? outcomeToProto(state.outcome) : {}),
    attempts: record.attempts.map(attemptToProto),
    readyAtMs: record.readyAt ?? 0,
    startedAtMs: startedAt ?? 0,
    endedAtMs: state.kind === 'ended' ? state.at : 0,
    needs: spec.needs.map((need) => need.step),
    critical: spec.critical,
    action: record.action?.action === undefined ? null : digestToProto(record.action.action),
    mergedInto: state.kind === 'merged' ? state.into : '',
    missingOutputs: [...missingOutputs(view)],
    dependencyCaches: dependencyCachesToProto(view),
  };
}

/** One that was not made is no error, but often a misspelling. */
function missingOutputs({ spec, record: { state } }: StepView): readonly string[] {
  if (state.kind !== 'ended' || state.outcome.kind !== 'succeeded') return [];
  const made = new Set(state.outcome.result.outputs.map(({ path }) => path));
  return spec.outputs.filter((output) => !made.has(output));
}

/** When the command of a step's newest attempt was started, by the coordinator's clock as well as that is known. */
function startOf(state: StepState, newest: AttemptRecord | undefined): number | undefined {
  if (state.kind !== 'ended' || newest?.report === undefined) return undefined;
  const runMs = newest.report.result === undefined ? 0 : newest.report.result.endedAt - newest.report.result.startedAt;
  return newest.endedAt === undefined ? newest.acceptedAt : Math.max(newest.acceptedAt, newest.endedAt - runMs);
}

const STEP_PHASES = {
  blocked: 'STEP_PHASE_BLOCKED',
  resolving: 'STEP_PHASE_RESOLVING',
  queued: 'STEP_PHASE_QUEUED',
  offered: 'STEP_PHASE_RUNNING',
  running: 'STEP_PHASE_RUNNING',
  merged: 'STEP_PHASE_MERGED',
  ended: 'STEP_PHASE_ENDED',
} as const satisfies Record<StepState['kind'], StepPhase>;

const SOURCES = { run: 'RESULT_SOURCE_RUN', cache: 'RESULT_SOURCE_CACHE', merge: 'RESULT_SOURCE_MERGE' } as const satisfies Record<
  string,
  ResultSource
>;

const BOUNDS = { queue: 'waited too long for an agent', total: 'took too long in all', build: 'the build took too long' } as const;

/** How a step ended, as the fields that `Step` and `StepEnded` share. */
export function outcomeToProto(outcome: StepOutcome): StepEnded {
  switch (outcome.kind) {
    case 'succeeded':
      return { verdict: 'STEP_VERDICT_SUCCEEDED', source: SOURCES[outcome.from], result: stepResultToProto(outcome.result) };
    case 'failed':
      return {
        verdict: 'STEP_VERDICT_FAILED',
        message: outcome.message,
        failureClass: failureClassToProto(outcome.class),
        result: outcome.result === undefined ? null : stepResultToProto(outcome.result),
      };
    case 'errored':
      return { verdict: 'STEP_VERDICT_ERRORED', message: outcome.message, failureClass: failureClassToProto(outcome.class) };
    case 'quarantined':
      return { verdict: 'STEP_VERDICT_QUARANTINED', message: `its attempts took down the agents ${outcome.agents.join(', ')}` };
    case 'timed-out':
      return { verdict: 'STEP_VERDICT_TIMED_OUT', message: BOUNDS[outcome.bound] };
    case 'cancelled':
      return {
        verdict: 'STEP_VERDICT_CANCELLED',
        message: outcome.reason === '' ? `by ${outcome.by}` : `by ${outcome.by}: ${outcome.reason}`,
      };
    case 'skipped':
      return { verdict: 'STEP_VERDICT_SKIPPED', message: outcome.detail };
    default:
      return unreachable(outcome);
  }
}

function attemptToProto(record: AttemptRecord): Attempt {
  return {
    number: record.attempt,
    token: record.token,
    agent: record.agent,
    acceptedAtMs: record.acceptedAt,
    endedAtMs: record.endedAt ?? 0,
    endedWhy: endedWhy(record),
  };
}

function endedWhy(record: AttemptRecord): string {
  if (record.report === undefined) return record.endedAt === undefined ? '' : (record.endedWhy ?? 'ended without a report');
  return record.report.kind === 'succeeded' ? 'succeeded' : `${record.report.class}: ${record.report.message}`;
}

const EXPLAINED_PHASES = {
  blocked: 'STEP_PHASE_BLOCKED',
  resolving: 'STEP_PHASE_RESOLVING',
  queued: 'STEP_PHASE_QUEUED',
  running: 'STEP_PHASE_RUNNING',
  merged: 'STEP_PHASE_MERGED',
  ended: 'STEP_PHASE_ENDED',
} as const satisfies Record<Explanation['phase'], StepPhase>;

export function explanationToProto(explanation: Explanation) {
  return {
    phase: EXPLAINED_PHASES[explanation.phase],
    summary: explanation.summary,
    reasons: [...explanation.reasons],
    queuePosition: explanation.queuePosition,
    nearest: explanation.nearest.map((fit) => ({ agent: fit.agent, lacks: [...fit.lacks] })),
    placement: explanation.placement.map((term) => ({ ...term })),
    cache: [...explanation.cache],
    dependencyCaches: [...explanation.dependencyCaches],
  };
}
