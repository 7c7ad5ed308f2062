import type { AttemptReport } from '../../cache/action/result.ts';
import { noteEnd } from './breaker.ts';
import { keptOf, savesOf, withResults, type DependencyResult } from './dependency.ts';
import { noteProbe } from './pool-breaker.ts';
import type { LeaseToken } from './ids.ts';
import type { AgentNode, StepNode } from './nodes.ts';
import type { LeaseVerdict, ResultVerdict } from './outcome.ts';
import { retryOrEnd, withoutOutputs, type AttemptEnd } from './retry.ts';
import type { AttemptRecord, CancelCause, Lease, StepOutcome, StepState } from './state.ts';
import { closeAttempt, end, queue } from './step-moves.ts';
import { nextSeq, type Turn } from './turn.ts';
import { endUnsealed, isStoreAway, publishResult, waitForStore } from './unsealed.ts';
import { stepName } from './yard.ts';

/**
 * A lease from its offer to its end. Its token is the fence: whoever speaks of an attempt must name it, and only the
 * current one is listened to. Agents are trusted to stop at their local expiry; until a lease is over here, nobody else
 * gets the step.
 */

/** How long an agent that turned a step down is not asked again. */
const REJECTED_MS = 10_000;

/** Offers the step to the agent: the lease is granted, no attempt is charged yet. */
export function offer(turn: Turn, step: StepNode, agent: AgentNode): void {
  const { leaseTtlMs, offerTtlMs } = turn.yard.timings;
  const attempt = step.record.attemptCount + 1;
  const lease: Lease = { token: turn.newToken(), agent: agent.id, attempt, grantedAt: turn.now, expiresAt: turn.now + leaseTtlMs };
  const wanted = turn.yard.fleet.classOf(step);
  turn.yard.fleet.unreserve(wanted);
  agent.credits -= 1;
  step.patienceOver = false;
  step.waitNote = undefined;
  turn.yard.shares.grant(step, wanted.cost);
  turn.change(step, { ...step.record, state: { kind: 'offered', lease, offerExpiresAt: turn.now + offerTtlMs } });
  noteProbe(turn, agent, lease.token);
  turn.tell(agent, { kind: 'offer', token: lease.token, step: step.id, attempt, leaseTtlMs });
}

/** An offer came to nothing: the step is where it was before, and nobody is charged. */
export function returnOffer(turn: Turn, step: StepNode, why: string, avoid?: AgentNode): void {
  if (step.record.state.kind !== 'offered') return;
  turn.yard.tally.offersReturned += 1;
  if (avoid !== undefined) {
    step.rejectedBy ??= new Map();
    step.rejectedBy.set(avoid.id, turn.now + REJECTED_MS);
  }
  turn.yard.shares.refund(step, turn.yard.fleet.classOf(step).cost);
  queue(turn, step, undefined, why);
}

/** The agent takes the offer: from here on the attempt counts. */
export function accept(turn: Turn, step: StepNode): void {
  const { state, attempts, attemptCount } = step.record;
  if (state.kind !== 'offered') return;
  const lease = { ...state.lease, expiresAt: turn.now + turn.yard.timings.leaseTtlMs };
  const { token, agent, attempt } = lease;
  step.frozenUntil = 0;
  const newest: AttemptRecord = { attempt, token, agent, acceptedAt: turn.now, endedAt: undefined, report: undefined };
  turn.change(
    step,
    {
      ...step.record,
      state: { kind: 'running', lease, startedAt: undefined, cancelling: undefined },
      attempts: attempts.length === 0 ? [newest] : [...attempts.slice(-(turn.yard.limits.attemptsKept - 1)), newest],
      attemptCount: Math.max(attempt, attemptCount),
    },
    { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-accepted', step: stepName(step), attempt, token, agent },
  );
}

/** The command runs. An agent that says so has accepted, whatever became of that message. */
export function start(turn: Turn, step: StepNode): void {
  accept(turn, step);
  const { state } = step.record;
  if (state.kind !== 'running' || state.startedAt !== undefined) return;
  const { agent, attempt } = state.lease;
  turn.change(
    step,
    { ...step.record, state: { ...state, startedAt: turn.now } },
    { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-started', step: stepName(step), attempt, agent },
  );
}

/** The agent still has the lease: it is renewed, as far as the step's bounds go. */
export function renew(turn: Turn, step: StepNode): LeaseVerdict {
  accept(turn, step);
  const { state } = step.record;
  if (state.kind !== 'running') return 'lost';
  const bound = runBound(turn, step, state);
  const expiresAt = Math.max(state.lease.expiresAt, Math.min(turn.now + turn.yard.timings.leaseTtlMs, bound));
  if (expiresAt > state.lease.expiresAt) turn.change(step, { ...step.record, state: { ...state, lease: { ...state.lease, expiresAt } } });
  return state.cancelling === undefined && turn.now < bound ? 'continue' : 'cancel';
}

/** The result under a token, accepted exactly once and only while the lease is current. */
export function finish(turn: Turn, agent: AgentNode, token: LeaseToken, report: AttemptReport): ResultVerdict {
  const step = agent.leases.get(token);
  if (step !== undefined) {
    accept(turn, step);
    const { state } = step.record;
    if (state.kind === 'running') takeReport(turn, step, agent, state, report);
    return 'accepted';
  }
  const ended = turn.yard.index.tokens.get(token)?.record.attempts.find((attempt) => attempt.token === token);
  const isRepeat = ended?.agent === agent.id && ended.report !== undefined;
  if (isRepeat) turn.yard.tally.resultsRepeated += 1;
  else turn.yard.tally.resultsFenced += 1;
  return isRepeat ? 'already-accepted' : 'fenced';
}

/** The lease is over: its agent was not heard of in time, came back without it, or went. */
export function lose(turn: Turn, step: StepNode, ending: { readonly message: string; readonly agentLost: boolean }): void {
  const { state } = step.record;
  if (state.kind === 'offered') return returnOffer(turn, step, ending.message);
  if (state.kind !== 'running') return;
  const { agent } = state.lease;
  if (state.cancelling !== undefined) return endCancelled(turn, step, state, undefined);
  const overdue = state.startedAt !== undefined && turn.now >= runBound(turn, step, state);
  const cause: AttemptEnd = overdue
    ? {
        class: 'timeout',
        message: 'it ran longer than it may, and its agent did not stop it',
        result: undefined,
        report: undefined,
        agentLost: false,
      }
    : { class: 'agent-lost', message: ending.message, result: undefined, report: undefined, agentLost: ending.agentLost };
  turn.send({ kind: 'close-log', token: state.lease.token, step: step.id });
  noteEnd(turn, turn.yard.fleet.agent(agent), step, cause.class, cause.message);
  retryOrEnd(turn, step, agent, state.lease.attempt, cause);
}

/** The agent stops: what it had not started goes back for nothing, the rest is an error of its own class. */
export function handBack(turn: Turn, step: StepNode): void {
  const { state } = step.record;
  if (state.kind === 'offered') return returnOffer(turn, step, 'its agent left');
  if (state.kind !== 'running') return;
  if (state.cancelling !== undefined) return endCancelled(turn, step, state, undefined);
  const { agent, attempt, token } = state.lease;
  turn.send({ kind: 'close-log', token, step: step.id });
  if (state.startedAt !== undefined) {
    const cause: AttemptEnd = { class: 'agent-stop', message: 'its agent left', result: undefined, report: undefined, agentLost: false };
    return retryOrEnd(turn, step, agent, attempt, cause);
  }
  const why = 'agent-stop: its agent left before it began';
  turn.say(step.build, { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-ended', step: stepName(step), attempt, agent, why });
  queue(turn, step, undefined, 'its agent left before it began', {
    ...step.record,
    attempts: closeAttempt(step, { endedAt: turn.now, endedWhy: why }),
  });
}

/** Tells the agent to stop; the step ends when it has, or when the lease is over. */
export function cancelRunning(turn: Turn, step: StepNode, cause: CancelCause, reason: string): void {
  const { state } = step.record;
  if (state.kind !== 'running' || state.cancelling !== undefined) return;
  turn.change(step, { ...step.record, state: { ...state, cancelling: cause } });
  turn.tell(turn.yard.fleet.agent(state.lease.agent), { kind: 'cancel', token: state.lease.token, reason, graceMs: step.spec.graceMs });
}

type Running = Extract<StepState, { kind: 'running' }>;

function takeReport(turn: Turn, step: StepNode, agent: AgentNode, state: Running, report: AttemptReport): void {
  const { token, attempt } = state.lease;
  const ending = report.kind === 'failed' ? report.class : undefined;
  turn.send({ kind: 'close-log', token, step: step.id });
  if (report.kind === 'failed' && state.cancelling === undefined && isStoreAway(step, report)) return waitForStore(turn, step, report);
  noteEnd(turn, agent, step, ending, report.kind === 'failed' ? report.message : '');
  const kept = keptOf(step.spec.dependencyCaches, report);
  if (kept !== undefined) turn.change(step, { ...step.record, kept });
  for (const { save } of kept ?? []) if (save.kind === 'dropped') turn.yard.tally.dependencySaves.dropped += 1;
  if (report.kind === 'failed' && state.cancelling !== undefined) return endCancelled(turn, step, state, report);
  if (report.kind === 'failed') {
    // Nobody here asked for a stop, so it was the agent's own doing.
    const cls = report.class === 'cancelled' ? 'agent-stop' : report.class;
    return retryOrEnd(turn, step, agent.id, attempt, {
      class: cls,
      message: report.message,
      result: report.result,
      report,
      agentLost: false,
    });
  }
  rememberParts(turn, step, agent, [...report.result.outputs, ...savesOf(kept).flatMap(({ trees }) => trees)]);
  turn.yard.tally.attempts.succeeded += 1;
  turn.say(step.build, {
    seq: nextSeq(step.build),
    at: turn.now,
    kind: 'attempt-ended',
    step: stepName(step),
    attempt,
    agent: agent.id,
    why: 'succeeded',
  });
  const attempts = closeAttempt(step, { endedAt: turn.now, report: withoutOutputs(report) });
  const outcome: StepOutcome = { kind: 'succeeded', from: 'run', result: report.result };
  if (report.staged === true) return endUnsealed(turn, step, turn.now, outcome, { ...step.record, attempts });
  end(turn, step, outcome, { ...step.record, attempts });
  publishResult(turn, step);
}

/** Entries of the step's dependency caches were written, or not: only what is told of it changes. */
export function takeKept(turn: Turn, step: StepNode, results: readonly DependencyResult[]): void {
  const { kept } = step.record;
  for (const { outcome } of results) turn.yard.tally.dependencySaves[outcome] += 1;
  if (kept !== undefined && savesOf(kept).length > 0) turn.change(step, { ...step.record, kept: withResults(kept, results) });
}

function endCancelled(turn: Turn, step: StepNode, state: Running, report: AttemptReport | undefined): void {
  const { cancelling, lease } = state;
  if (cancelling === undefined) return;
  const outcome: StepOutcome =
    cancelling.kind === 'cancelled'
      ? { kind: 'cancelled', by: cancelling.by, reason: cancelling.reason }
      : { kind: 'timed-out', bound: cancelling.bound };
  if (report === undefined) turn.send({ kind: 'close-log', token: lease.token, step: step.id });
  const why = report?.kind === 'failed' ? `${report.class}: ${report.message}` : 'cancelled';
  const { agent, attempt } = lease;
  turn.say(step.build, { seq: nextSeq(step.build), at: turn.now, kind: 'attempt-ended', step: stepName(step), attempt, agent, why });
  const attempts = closeAttempt(step, {
    endedAt: turn.now,
    report: report === undefined ? undefined : withoutOutputs(report),
    ...(report === undefined ? { endedWhy: stopText(cancelling) } : {}),
  });
  turn.yard.tally.attempts.cancelled += 1;
  end(turn, step, outcome, { ...step.record, attempts });
}

/** Why an attempt was told to stop, for those who look at it later. */
function stopText(cause: CancelCause): string {
  if (cause.kind === 'timed-out') return `cancelled: the ${cause.bound} time was over`;
  return `cancelled: by ${cause.by}${cause.reason === '' ? '' : `: ${cause.reason}`}`;
}

/** Until when the attempt may be renewed: its run time and its grace, with a lease's time to report. */
function runBound(turn: Turn, step: StepNode, state: Running): number {
  const { graceMs, runTimeoutMs } = step.spec;
  const slackMs = graceMs + turn.yard.timings.leaseTtlMs;
  const running = state.startedAt === undefined ? Number.POSITIVE_INFINITY : state.startedAt + runTimeoutMs + slackMs;
  return state.cancelling === undefined ? running : Math.min(running, state.cancelling.at + slackMs);
}

/** What the agent has on its disk after the step: placing others there saves the transfer. */
function rememberParts(
  turn: Turn,
  step: StepNode,
  agent: AgentNode,
  outputs: Extract<AttemptReport, { kind: 'succeeded' }>['result']['outputs'],
): void {
  const { fleet } = turn.yard;
  for (const part of step.record.action?.parts ?? []) fleet.remember(agent, part.root, part.bytes);
  for (const entry of outputs) if (entry.kind === 'directory') fleet.remember(agent, entry.root, entry.bytes);
}
