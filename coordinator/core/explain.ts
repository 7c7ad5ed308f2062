import type { TimeMs } from '../../base/clock.ts';
import { formatDurationMs, formatInstant, formatSizeBytes } from '../../base/quantity.ts';
import { describe } from './build-end.ts';
import { hasRoom, lacks, zoneFits } from './classes.ts';
import { dependencyLines } from './dependency.ts';
import type { AgentNode, Placement, RequirementClass, StepNode } from './nodes.ts';
import { TERMS } from './placement.ts';
import { limitText } from './pool-limits.ts';
import { homeText, standingText } from './preference.ts';
import { quotaText } from './project-quota.ts';
import { budgetLeft } from './retry.ts';
import type { StepOutcome } from './state.ts';
import { isSuccess } from './step-record.ts';
import type { Explanation, ScoreTerm } from './view.ts';
import { unsealedLines } from './unsealed.ts';
import { brokenDomains, degradedText, poolText, whyKept } from './why-kept.ts';
import { stepName, type Yard } from './yard.ts';

const PHASES = {
  blocked: 'blocked',
  resolving: 'resolving',
  queued: 'queued',
  offered: 'running',
  running: 'running',
  merged: 'merged',
  ended: 'ended',
} as const;

/** Why a step is where it is. Reads only; costs what the cluster and the step's queue have in size. */
export function explain(yard: Yard, step: StepNode, now: TimeMs): Explanation {
  const { state } = step.record;
  const queued = state.kind === 'queued';
  const wanted = yard.fleet.classOf(step);
  const reasons = [...reasonsOf(yard, step, wanted, now), ...notesOf(yard, step, now)];
  return {
    phase: PHASES[state.kind],
    summary: summaryOf(step, reasons, now),
    reasons,
    queuePosition: queued ? wanted.queue.positionOf(step) : 0,
    nearest: queued ? nearest(yard, step, wanted, now) : [],
    placement: placementOf(yard, step),
    cache: cacheOf(step),
    dependencyCaches: dependencyLines(step.spec.dependencyCaches, step.record.action?.dependencies, step.record.kept),
  };
}

/** What is known beside the rule that keeps it: the cache that does not answer, budgets that are used up. */
function notesOf(yard: Yard, step: StepNode, now: TimeMs): readonly string[] {
  const notes = step.waitNote === undefined ? [] : [step.waitNote];
  notes.push(...unsealedLines([step]));
  if (step.record.state.kind === 'resolving' && step.resolveAt !== undefined)
    notes.push(`it is tried again in ${formatDurationMs(Math.max(0, step.resolveAt - now))}`);
  const { limits } = yard;
  const left = budgetLeft(step.build.project.retries, limits.retryBudgetBurst, limits.retryBudgetPerSecond, now);
  if (step.delayed && left < limits.retryBudgetBurst / 2)
    notes.push(
      `the project has ${Math.max(0, Math.floor(left))} of ${limits.retryBudgetBurst} retries left and earns ${limits.retryBudgetPerSecond} a second`,
    );
  return notes;
}

function summaryOf(step: StepNode, reasons: readonly string[], now: TimeMs): string {
  const { state } = step.record;
  switch (state.kind) {
    case 'blocked':
      return `It waits for ${list(step.needs.filter((need) => need.record.state.kind !== 'ended').map(stepName))}.`;
    case 'resolving':
      if (step.unresolvedSince !== undefined) {
        const since = `${formatDurationMs(Math.max(0, now - step.unresolvedSince))} (since ${formatInstant(step.unresolvedSince)})`;
        return `It waits for the cache, without which its inputs cannot be put together; that has not answered for ${since}.`;
      }
      return 'Its inputs are being put together and looked up in the cache.';
    case 'queued':
      return `It waits for an agent: ${reasons[0] ?? 'it is about to be placed'}.`;
    case 'offered':
      return `It is offered to agent ${state.lease.agent}.`;
    case 'running': {
      const doing = state.startedAt === undefined ? 'is being prepared' : 'runs';
      return `Attempt ${state.lease.attempt} ${doing} on agent ${state.lease.agent}${state.cancelling === undefined ? '' : ' and was told to stop'}.`;
    }
    case 'merged':
      return `It does the same as ${state.into}, which is under way, and will take its result.`;
    case 'ended':
      return `It has ended: ${describe(state.outcome)}.${whyNotAgain(step, state.outcome)}`;
  }
}

/** Why a step that others would have run again was given up. */
function whyNotAgain({ spec }: StepNode, outcome: StepOutcome): string {
  const isLost = outcome.kind === 'errored' && outcome.class === 'agent-lost';
  if (!isLost || !spec.sideEffects || spec.retry.limits['agent-lost'] > 0) return '';
  return ' It has side effects and may have done its work, so it was not run elsewhere: look, and retry it if that does no harm.';
}

function reasonsOf(yard: Yard, step: StepNode, wanted: RequirementClass, now: TimeMs): readonly string[] {
  const { state, failures } = step.record;
  if (state.kind === 'blocked') {
    return step.needs
      .filter((need) => need.record.state.kind !== 'ended')
      .map((need) => `${stepName(need)} is ${PHASES[need.record.state.kind]}`);
  }
  if (state.kind === 'ended') {
    const missing = state.outcome.kind === 'skipped' ? step.needs.filter((need) => !isSuccess(need.record)) : [];
    return missing.map((need) =>
      need.record.state.kind === 'ended' ? `${stepName(need)}: ${describe(need.record.state.outcome)}` : stepName(need),
    );
  }
  if (state.kind !== 'queued') return [];
  if (step.delayed && state.notBefore !== undefined) {
    const tries = Object.entries(failures).map(([cls, count]) => `${count} × ${cls}`);
    return [
      `it is tried again in ${formatDurationMs(Math.max(0, state.notBefore - now))}${tries.length === 0 ? '' : ` after ${tries.join(', ')}`}`,
    ];
  }
  return waitingReasons(yard, step, wanted, now);
}

function waitingReasons(yard: Yard, step: StepNode, wanted: RequirementClass, now: TimeMs): readonly string[] {
  const reasons: string[] = [];
  if (step.parkedUntil !== undefined) {
    const left = formatDurationMs(Math.max(0, step.parkedUntil - now));
    reasons.push(parkedText(step, left));
  }
  const atQuota = step.parkedUntil === undefined ? quotaText(step.build.project, step.spec) : undefined;
  if (atQuota !== undefined) reasons.push(atQuota);
  const members = [...wanted.groups].flatMap((group) => [...group.members]);
  if (members.length === 0) {
    reasons.push(yard.fleet.groups.size === 0 ? 'no agent is known' : 'no agent has what it asks for');
  } else {
    const usable = members.filter((agent) => yard.fleet.keeperOf(agent) === undefined);
    const pools = new Set(members.flatMap(brokenDomains));
    for (const pool of pools) reasons.push(poolText(pool, now));
    for (const pool of new Set(members.map((agent) => agent.pool))) {
      const degraded = pool === undefined ? undefined : degradedText(pool, now);
      if (degraded !== undefined) reasons.push(degraded);
      const full = pool === undefined ? undefined : limitText(pool, wanted);
      if (full !== undefined) reasons.push(full);
    }
    // What a pool's breaker or its canary keeps is said already.
    const others = members.filter((agent) => !['pool-open', 'pool-probing', 'pool-degraded'].includes(yard.fleet.keeperOf(agent) ?? ''));
    if (usable.length === 0 && (others.length > 0 || pools.size === 0))
      reasons.push(
        `no agent that fits takes work: ${list(others.map((agent) => `${agent.id}: ${whyKept(yard.fleet, agent, now) ?? ''}`))}`,
      );
    else if (usable.length > 0 && wanted.stuck && atQuota === undefined)
      reasons.push(`all ${usable.length} agents that fit and take work are busy`);
    if (wanted.reserved !== undefined) reasons.push(`agent ${wanted.reserved.id} is kept free for it`);
  }
  const position = wanted.queue.positionOf(step);
  if (position > 0) reasons.push(`about ${position} steps go before it`);
  return reasons;
}

function parkedText({ awaited, record }: StepNode, left: string): string {
  if (awaited === undefined) return `it avoids the free agents, which failed or refused it before, for up to ${left}`;
  if (awaited.kind === 'cluster')
    return `it waits up to ${left} for an agent of the cluster ${awaited.home.cluster}, ${homeText(awaited.home)}; then it goes elsewhere`;
  const holders = list([...awaited.agents].map((agent) => agent.id));
  return `it waits up to ${left} for ${holders}, which has most of its ${formatSizeBytes(record.action?.inputBytes ?? 0)} of inputs`;
}

/** The agents that come nearest: those that lack least, the connected ones first. */
function nearest(yard: Yard, step: StepNode, wanted: RequirementClass, now: TimeMs): Explanation['nearest'] {
  const fits = [...yard.fleet.agents.values()].flatMap((agent) => {
    if (agent.group === undefined) return [];
    const missing = [...lacks(agent.group, wanted)];
    const total = missing.length + (agent.connected ? 0 : 0.5);
    if (missing.length === 0) missing.push(...busyWith(yard, step, wanted, agent, now));
    return [{ agent: agent.id, lacks: missing, total }];
  });
  fits.sort((left, right) => left.total - right.total || (left.agent < right.agent ? -1 : 1));
  return fits.slice(0, yard.limits.explainedAgents).map(({ agent, lacks: missing }) => ({ agent, lacks: missing }));
}

/** What keeps the step from an agent that has all it asks for; nothing where the agent is merely full. */
function busyWith(yard: Yard, step: StepNode, wanted: RequirementClass, agent: AgentNode, now: TimeMs): readonly string[] {
  const kept = whyKept(yard.fleet, agent, now);
  if (kept !== undefined) return [kept];
  const notes: string[] = [];
  if (!zoneFits(agent, wanted)) notes.push("it runs another zone's steps and its sandbox does not isolate the host");
  const full = agent.pool === undefined ? undefined : limitText(agent.pool, wanted);
  if (full !== undefined) notes.push(full);
  if (agent.reservedFor !== undefined && agent.reservedFor !== wanted) notes.push('it is kept free for a larger step');
  if (step.record.avoid.includes(agent.id)) notes.push('it failed this step before');
  if (hasRoom(agent, wanted) && agent.credits <= 0) notes.push('it takes no offers at the moment');
  return notes;
}

const TERM_TEXT: Readonly<Record<(typeof TERMS)[number], string>> = {
  labels: 'things of the agent that the step does not ask for, kept for those that do',
  inputs: 'input bytes that the agent had already',
  cluster: 'needed outputs that were made in the same cluster',
  fit: 'full agents first in central pools, empty ones first at the edge',
  light: 'light steps go to the edge',
  errors: 'recent errors of the agent',
  avoided: 'the agent failed or refused the step before',
};

function placeText(yard: Yard, { agent, standing = { distance: 2, spill: 0, price: 0 }, home }: Placement): string {
  return standingText(yard.fleet.agents.get(agent)?.group?.cluster ?? '', standing, home);
}

function placementOf(yard: Yard, step: StepNode): readonly ScoreTerm[] {
  const { placement } = step;
  if (placement === undefined) return [];
  const terms = TERMS.map((term, index) => ({ term, score: placement.terms[index] ?? 0, why: TERM_TEXT[term] }));
  return [
    { term: 'agent', score: 0, why: `${placement.agent}, the best of ${placement.candidateCount} with room` },
    ...(placement.standing === undefined ? [] : [{ term: 'place', score: 0, why: placeText(yard, placement) }]),
    ...terms.filter(({ score }) => score !== 0),
  ];
}

function cacheOf(step: StepNode): readonly string[] {
  if (!step.spec.cacheable) return ['the step is not cacheable'];
  const { state, action } = step.record;
  if (state.kind === 'ended' && state.outcome.kind === 'succeeded' && state.outcome.from === 'cache') return [];
  if (action?.action === undefined) return [];
  return step.cacheNotes !== undefined && step.cacheNotes.length > 0
    ? step.cacheNotes
    : [`no usable result of action ${action.action} was found`];
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  return names.length <= shown.length ? shown.join(', ') : `${shown.join(', ')} and ${names.length - shown.length} more`;
}
