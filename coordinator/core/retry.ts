import { backoffMs } from '../../base/backoff.ts';
import { FAILURE_CLASSES, type FailureClass } from '../../base/failure.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import type { AttemptReport, StepResult } from '../../cache/action/result.ts';
import type { AgentId } from './ids.ts';
import type { ProjectNode, StepNode } from './nodes.ts';
import { closeAttempt, end, queue } from './step-moves.ts';
import type { Draft } from './step-record.ts';
import { nextSeq, type Turn } from './turn.ts';
import { stepName } from './yard.ts';

/** How an attempt ended without success. */
export type AttemptEnd = {
  readonly class: Exclude<FailureClass, 'cancelled'>;
  readonly message: string;
  readonly result: StepResult | undefined;
  /** What the agent said; undefined where it said nothing. */
  readonly report: AttemptReport | undefined;
  /** Whether the agent itself was taken down with it. */
  readonly agentLost: boolean;
};

/** An accepted attempt has ended without success: the step is tried again, elsewhere if possible, or has ended. */
export function retryOrEnd(turn: Turn, step: StepNode, agent: AgentId, attempt: number, ending: AttemptEnd): void {
  const { record, spec } = step;
  const count = (record.failures[ending.class] ?? 0) + 1;
  const lostAgents = ending.agentLost && !record.lostAgents.includes(agent) ? [...record.lostAgents, agent] : record.lostAgents;
  const draft: Draft = {
    ...record,
    attempts: closeAttempt(step, { endedAt: turn.now, report: ending.report === undefined ? undefined : withoutOutputs(ending.report) }),
    failures: { ...record.failures, [ending.class]: count },
    lostAgents,
    avoid: [agent, ...record.avoid.filter((other) => other !== agent)].slice(0, turn.yard.limits.avoidedAgents),
  };
  const why = `${ending.class}: ${ending.message}`;
  turn.say(step.build, { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-ended', step: stepName(step), attempt, agent, why });
  if (lostAgents.length >= turn.yard.limits.agentsLostToQuarantine)
    return end(turn, step, { kind: 'quarantined', agents: lostAgents }, draft);
  if (count > spec.retry.limits[ending.class]) {
    if (FAILURE_CLASSES[ending.class] === 'failure') {
      return end(turn, step, { kind: 'failed', class: ending.class, message: ending.message, result: ending.result }, draft);
    }
    return end(turn, step, { kind: 'errored', class: ending.class, message: ending.message }, draft);
  }
  const tries = Object.values({ ...record.failures, [ending.class]: count }).reduce((sum, each) => sum + each, 0);
  const backoff = backoffMs(spec.retry, tries - 1, turn.prng);
  const debt = payForRetry(turn, step.build.project);
  step.waitNote = debt > 0 ? `the project's retries come too fast: the budget adds ${formatDurationMs(debt)}` : undefined;
  const waitMs = backoff + debt;
  queue(turn, step, waitMs === 0 ? undefined : turn.now + waitMs, why, draft);
}

/** What is remembered of a report per attempt: the outputs are the outcome's to keep. */
export function withoutOutputs(report: AttemptReport): AttemptReport {
  if (report.result === undefined || report.result.outputs.length === 0) return report;
  const result = { ...report.result, outputs: [] };
  return report.kind === 'succeeded' ? { ...report, result } : { ...report, result };
}

/** Takes one retry from the project's token bucket; returns how long to wait until it has been earned. */
function payForRetry(turn: Turn, project: ProjectNode): number {
  const { retryBudgetBurst, retryBudgetPerSecond } = turn.yard.limits;
  const earned = ((turn.now - project.budgetAt) / 1_000) * retryBudgetPerSecond;
  project.budget = Math.min(retryBudgetBurst, project.budget + earned) - 1;
  project.budgetAt = turn.now;
  return project.budget >= 0 ? 0 : Math.ceil((-project.budget / retryBudgetPerSecond) * 1_000);
}
