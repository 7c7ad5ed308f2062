import type { FailureClass } from '../../../base/failure.ts';
import type { StepId } from '../../../coordinator/core/ids.ts';
import type { CheckerFactory } from '../checker.ts';
import { leaseOf } from '../image.ts';
import { Violation } from '../world.ts';

/**
 * A step gets another lease only while the ends of its attempts, as its agents reported them, stay within the limit of
 * each class; and it fails by a class only when that class' limit is used up.
 */
export const retryClass: CheckerFactory = ({ stepPlan, durable }) => {
  /** By token: how the attempt ended. */
  const reports = new Map<string, FailureClass>();
  const ended = new Map<StepId, Map<FailureClass, Set<string>>>();
  return {
    invariant: 'retry-class',
    arrived(event) {
      if (event.kind === 'step-retried') return void ended.delete(event.step);
      if (event.kind === 'attempt-finished' && event.report.kind === 'failed') reports.set(event.token, event.report.class);
      if (event.kind !== 'agent-registered') return;
      for (const { token, phase } of event.held) {
        if (phase.kind === 'finished' && phase.report.kind === 'failed') reports.set(token, phase.report.class);
      }
    },
    observe(observation) {
      // What was counted may never have been.
      if (observation.kind === 'lost') ended.clear();
    },
    durable({ id, before, after }) {
      if (before?.state.kind === 'ended' && after.state.kind !== 'ended') ended.delete(id);
      const counts = ended.get(id) ?? new Map<FailureClass, Set<string>>();
      ended.set(id, counts);
      const last = leaseOf(before);
      const cause = last === undefined || leaseOf(after)?.token === last.token ? undefined : reports.get(last.token);
      const counted = after.attempts.find((attempt) => attempt.token === last?.token)?.report !== undefined;
      if (last !== undefined && cause !== undefined && counted) counts.set(cause, (counts.get(cause) ?? new Set()).add(last.token));
      const { limits } = stepPlan(id).spec.retry;
      if (leaseOf(after) === undefined || leaseOf(before) !== undefined) return;
      for (const [kind, tokens] of counts) {
        if (kind !== 'cancelled' && tokens.size > limits[kind]) {
          throw new Violation(
            'retry-class',
            `${id} runs again after ${tokens.size} ends by ${kind}, of which ${limits[kind]} may be retried`,
          );
        }
      }
    },
    decided({ id, before, after }) {
      const { state } = after;
      // A follower shares the failure of its primary, whose attempts were the same.
      if (before?.state.kind === 'merged') return;
      if (state.kind !== 'ended' || (state.outcome.kind !== 'failed' && state.outcome.kind !== 'errored')) return;
      const { class: cause } = state.outcome;
      if (cause === 'cancelled' || stepPlan(id).invalid) return;
      const already = ended.get(id)?.get(cause)?.size ?? 0;
      const limit = stepPlan(id).spec.retry.limits[cause];
      const counted = after.failures[cause] ?? 0;
      if (Math.max(already, counted) + 1 <= limit && durable.steps.has(id)) {
        throw new Violation('retry-class', `${id} gave up by ${cause} after ${counted} ends, although ${limit} may be retried`);
      }
    },
  };
};
