import { backoffMs } from '../../base/backoff.ts';
import type { TimeMs } from '../../base/clock.ts';
import { FAILURE_CLASSES, type FailureClass } from '../../base/failure.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import type { AttemptReport, StepResult } from '../../cache/action/result.ts';
import type { AgentId } from './ids.ts';
import type { RetryBudget, StepNode } from './nodes.ts';
import { closeAttempt, end, queue, resolve, resolveLater } from './step-moves.ts';
import { isUnsealed, type Draft } from './step-record.ts';
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
  const why = `${ending.class}: ${ending.message}`;
  const lostAgents = ending.agentLost && !record.lostAgents.includes(agent) ? [...record.lostAgents, agent] : record.lostAgents;
  const draft: Draft = {
    ...record,
    attempts: closeAttempt(step, {
      endedAt: turn.now,
      report: ending.report === undefined ? undefined : withoutOutputs(ending.report),
      ...(ending.report === undefined ? { endedWhy: why } : {}),
    }),
    failures: { ...record.failures, [ending.class]: count },
    lostAgents,
    avoid: [agent, ...record.avoid.filter((other) => other !== agent)].slice(0, turn.yard.limits.avoidedAgents),
  };
  turn.yard.tally.attempts[ending.class] += 1;
  turn.say(step.build, { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-ended', step: stepName(step), attempt, agent, why });
  if (lostAgents.length >= turn.yard.limits.agentsLostToQuarantine) {
    turn.yard.tally.quarantined += 1;
    return end(turn, step, { kind: 'quarantined', agents: lostAgents }, draft);
  }
  if (count > spec.retry.limits[ending.class]) {
    if (FAILURE_CLASSES[ending.class] === 'failure') {
      return end(turn, step, { kind: 'failed', class: ending.class, message: ending.message, result: ending.result }, draft);
    }
    return end(turn, step, { kind: 'errored', class: ending.class, message: ending.message }, draft);
  }
  // What it needs may be gone, and where it is staged only that is likely.
  if (ending.class === 'cache-error' && step.needs.some((need) => isUnsealed(need.record))) return resolve(turn, step, draft);
  const takesOutputs = step.spec.needs.some(({ outputs }) => outputs);
  const tries = Object.values({ ...record.failures, [ending.class]: count }).reduce((sum, each) => sum + each, 0);
  const backoff = backoffMs(spec.retry, tries - 1, turn.prng);
  const debt = payForRetry(turn, step, agent, ending.class);
  step.waitNote = debt?.note;
  const waitMs = backoff + (debt?.ms ?? 0);
  turn.yard.tally.retries += 1;
  if (ending.class === 'cache-error' && takesOutputs) return resolveLater(turn, step, turn.now + waitMs, draft);
  queue(turn, step, waitMs === 0 ? undefined : turn.now + waitMs, why, draft);
}

/** What is remembered of a report per attempt: the outputs are the outcome's to keep, dependency caches the step's. */
export function withoutOutputs(reported: AttemptReport): AttemptReport {
  const report = reported.dependencies === undefined ? reported : withoutDependencies(reported);
  if (report.result === undefined || report.result.outputs.length === 0) return report;
  const result = { ...report.result, outputs: [] };
  return report.kind === 'succeeded' ? { ...report, result } : { ...report, result };
}

function withoutDependencies(report: AttemptReport): AttemptReport {
  const { dependencies: _, ...rest } = report;
  return rest;
}

/**
 * Takes one retry from the project's budget and, where our side erred, one from that of the agent's pool; returns how long
 * to wait until both have earned it, and which one is short.
 */
function payForRetry(turn: Turn, step: StepNode, agent: AgentId, cls: FailureClass): { ms: number; note: string } | undefined {
  const { limits, fleet } = turn.yard;
  const { project } = step.build;
  const pool = FAILURE_CLASSES[cls] === 'error' ? fleet.agent(agent).pool : undefined;
  const ofProject = takeRetry(project.retries, limits.retryBudgetBurst, limits.retryBudgetPerSecond, turn.now);
  const ofPool = pool === undefined ? 0 : takeRetry(pool.retries, limits.poolRetryBurst, limits.poolRetryPerSecond, turn.now);
  const ms = Math.max(ofProject, ofPool);
  if (ms === 0) return undefined;
  turn.yard.tally.retriesHeldBack += 1;
  const whose = ofPool > ofProject && pool !== undefined ? `retries after errors of pool ${pool.name} come` : "the project's retries come";
  return { ms, note: `${whose} too fast: the budget adds ${formatDurationMs(ms)}` };
}

/** Takes one token from the bucket; returns the time in milliseconds until it has been earned. */
function takeRetry(budget: RetryBudget, burst: number, perSecond: number, now: TimeMs): number {
  budget.left = budgetLeft(budget, burst, perSecond, now) - 1;
  budget.at = now;
  return budget.left >= 0 ? 0 : Math.ceil((-budget.left / perSecond) * 1_000);
}

/** Retries that the budget has at a time. */
export function budgetLeft(budget: RetryBudget, burst: number, perSecond: number, now: TimeMs): number {
  return Math.min(burst, budget.left + (Math.max(0, now - budget.at) / 1_000) * perSecond);
}
