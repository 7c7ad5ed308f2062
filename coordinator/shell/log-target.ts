import { Fault } from '../../base/fault.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import { buildOf, nameOf, type BuildId, type LeaseToken, type StepId } from '../core/ids.ts';
import type { AttemptRecord, StepOutcome } from '../core/state.ts';
import type { CoreView } from './core-view.ts';

/** Which log a reader means, as things stand. */
export type LogTarget =
  | {
      readonly kind: 'attempt';
      readonly number: number;
      readonly build: BuildId;
      readonly token: LeaseToken;
      /** The whole log, where the attempt's report names it. */
      readonly sealed: SealedLog | undefined;
      readonly running: boolean;
    }
  /** The log that came with a result from the cache or of another step. */
  | { readonly kind: 'result'; readonly build: BuildId; readonly sealed: SealedLog }
  /** The step ended without one. */
  | { readonly kind: 'none' }
  /** No attempt yet; `builds` are those whose events may bring one. */
  | { readonly kind: 'not-yet'; readonly builds: readonly BuildId[] };

/**
 * The log of a step's attempt; 0 is the newest, of whichever step runs on behalf of this one.
 * @throws {Fault} STEP_UNKNOWN; LOG_UNKNOWN for an attempt that cannot come any more.
 */
export function logTarget(core: CoreView, step: StepId, attempt: number): LogTarget {
  const view = core.step(step);
  if (view === undefined) throw new Fault('STEP_UNKNOWN', `The build has no step ${nameOf(step)}`, { field: 'step' });
  const { attempts, attemptCount, state, endOf } = view.record;
  if (attempt > 0) {
    const record = attempts.find((candidate) => candidate.attempt === attempt);
    if (record !== undefined) return ofAttempt(core, step, record);
    if (state.kind === 'ended' || attempt <= attemptCount) {
      throw new Fault('LOG_UNKNOWN', `Attempt ${attempt} of step ${nameOf(step)} has no log`, { field: 'attempt' });
    }
    return { kind: 'not-yet', builds: [buildOf(step)] };
  }
  if (state.kind === 'merged') {
    const target = logTarget(core, state.into, 0);
    return target.kind === 'not-yet' ? { kind: 'not-yet', builds: [buildOf(step), ...target.builds] } : target;
  }
  const newest = attempts.at(-1);
  if (state.kind === 'ended' && isOthers(state.outcome, endOf, newest)) {
    const sealed = 'result' in state.outcome ? state.outcome.result?.log : undefined;
    if (sealed !== undefined) return { kind: 'result', build: buildOf(step), sealed };
    // Where the store took none from the agent, the coordinator has the log, as that of the attempt.
    return endOf === undefined || core.step(endOf) === undefined ? { kind: 'none' } : logTarget(core, endOf, 0);
  }
  if (newest !== undefined) return ofAttempt(core, step, newest);
  return state.kind === 'ended' ? { kind: 'none' } : { kind: 'not-yet', builds: [buildOf(step)] };
}

/** Whether the end came from the cache or of another step. */
function isOthers(outcome: StepOutcome, endOf: StepId | undefined, newest: AttemptRecord | undefined): boolean {
  return endOf !== undefined || newest === undefined || (outcome.kind === 'succeeded' && outcome.from !== 'run');
}

function ofAttempt(core: CoreView, step: StepId, record: AttemptRecord): LogTarget {
  const running = record.endedAt === undefined && core.lease(record.token) !== undefined;
  return { kind: 'attempt', number: record.attempt, build: buildOf(step), token: record.token, sealed: logOf(record), running };
}

/** The whole log of an attempt, as its agent reported it. */
export function logOf(record: AttemptRecord): SealedLog | undefined {
  return record.report?.result?.log;
}
