import { Fault } from '../../base/fault.ts';
import type { AgentStatus__Output } from '../../proto/gen/switchyard/v1/AgentStatus.ts';
import type { BreakerStatus__Output } from '../../proto/gen/switchyard/v1/BreakerStatus.ts';
import type { DependencyCacheState__Output } from '../../proto/gen/switchyard/v1/DependencyCacheState.ts';
import type { DependencyStatus__Output } from '../../proto/gen/switchyard/v1/DependencyStatus.ts';
import type { PoolStatus__Output } from '../../proto/gen/switchyard/v1/PoolStatus.ts';
import type { BuildSummary__Output } from '../../proto/gen/switchyard/v1/BuildSummary.ts';
import type { ExplainStepResponse__Output } from '../../proto/gen/switchyard/v1/ExplainStepResponse.ts';
import type { HoldStatus__Output } from '../../proto/gen/switchyard/v1/HoldStatus.ts';
import type { Step__Output } from '../../proto/gen/switchyard/v1/Step.ts';
import type { WatchBuildResponse__Output } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import {
  failureClassFromProto,
  optionalDigestFromProto,
  resourcesFromProto,
  sandboxTraitsFromProto,
  stepResultFromProto,
} from '../../proto/convert.ts';
import {
  BUILD_PHASES,
  BUILD_VERDICTS,
  DEPENDENCY_FOUND,
  DEPENDENCY_SAVES,
  RESULT_SOURCES,
  STEP_PHASES,
  STEP_VERDICTS,
  type AgentView,
  type BreakerView,
  type BuildEvent,
  type BuildView,
  type DependencyCacheView,
  type DependencyView,
  type ExplanationView,
  type HoldView,
  type PoolView,
  type StepView,
} from '../build-view.ts';

/** `STEP_VERDICT_TIMED_OUT` as `timed-out`; undefined for UNSPECIFIED, and for values of a newer server. */
function wordOf<const W extends readonly string[]>(words: W, prefix: string, value: string): W[number] | undefined {
  const word = value.startsWith(prefix) ? value.slice(prefix.length).toLowerCase().replaceAll('_', '-') : '';
  return words.find((known) => known === word);
}

/** Where the protocol says 0 for "not yet" or "none". */
function timeOf(value: string): number | undefined {
  const time = Number(value);
  return time === 0 ? undefined : time;
}

/** Steps are told by name; a server may also say `<build id>/<name>`. */
function stepName(text: string): string {
  return /^b-[0-9a-z]{26}\//.test(text) ? text.slice(29) : text;
}

export function buildFromProto(message: BuildSummary__Output): BuildView {
  const { id, name, project, labels, submittedBy, stepsTotal, stepsEnded, stepsFromCache, degraded } = message;
  return {
    id,
    name,
    project,
    phase: wordOf(BUILD_PHASES, 'BUILD_PHASE_', message.phase) ?? 'running',
    verdict: wordOf(BUILD_VERDICTS, 'BUILD_VERDICT_', message.verdict),
    labels,
    submittedBy,
    acceptedAtMs: Number(message.acceptedAtMs),
    endedAtMs: timeOf(message.endedAtMs),
    stepsTotal,
    stepsEnded,
    stepsFromCache,
    degraded,
  };
}

export function stepFromProto(message: Step__Output): StepView {
  const verdict = wordOf(STEP_VERDICTS, 'STEP_VERDICT_', message.verdict);
  return {
    name: stepName(message.name),
    phase: wordOf(STEP_PHASES, 'STEP_PHASE_', message.phase) ?? 'blocked',
    verdict,
    source: wordOf(RESULT_SOURCES, 'RESULT_SOURCE_', message.source),
    message: message.message,
    failureClass: failureClassFromProto(message.failureClass, 'failure_class'),
    result: message.result === null ? undefined : stepResultFromProto(message.result, 'result'),
    attempts: message.attempts.map(({ number, token, agent, acceptedAtMs, endedAtMs, endedWhy }) => ({
      number,
      token,
      agent,
      acceptedAtMs: Number(acceptedAtMs),
      endedAtMs: timeOf(endedAtMs),
      endedWhy,
    })),
    readyAtMs: timeOf(message.readyAtMs),
    startedAtMs: timeOf(message.startedAtMs),
    endedAtMs: timeOf(message.endedAtMs),
    needs: message.needs.map(stepName),
    critical: message.critical,
    action: optionalDigestFromProto(message.action, 'action'),
    mergedInto: message.mergedInto === '' ? undefined : message.mergedInto,
    missingOutputs: message.missingOutputs,
    dependencyCaches: message.dependencyCaches.map(dependencyCacheFromProto),
  };
}

/** @throws {Fault} INTERNAL where the server says something that an event cannot be. */
export function eventFromProto(message: WatchBuildResponse__Output): BuildEvent {
  const common = { cursor: message.cursor, atMs: Number(message.atMs), step: stepName(message.step) };
  if (message.buildAccepted) return { ...common, kind: 'build-accepted' };
  if (message.stepReady) return { ...common, kind: 'step-ready' };
  if (message.stepQueued) {
    return { ...common, kind: 'step-queued', notBeforeMs: timeOf(message.stepQueued.notBeforeMs), why: message.stepQueued.why };
  }
  if (message.stepMerged) return { ...common, kind: 'step-merged', into: message.stepMerged.into };
  if (message.attemptAccepted) {
    return { ...common, kind: 'attempt-accepted', number: message.attemptAccepted.number, agent: message.attemptAccepted.agent };
  }
  if (message.attemptStarted) {
    return { ...common, kind: 'attempt-started', number: message.attemptStarted.number, agent: message.attemptStarted.agent };
  }
  if (message.attemptEnded) return { ...common, kind: 'attempt-ended', ...message.attemptEnded };
  if (message.stepEnded) return { ...common, kind: 'step-ended', ...stepEnd(message.stepEnded) };
  if (message.buildEnded) {
    const { verdict, degraded } = message.buildEnded;
    return { ...common, kind: 'build-ended', verdict: needed(wordOf(BUILD_VERDICTS, 'BUILD_VERDICT_', verdict), verdict), degraded };
  }
  return { ...common, kind: 'nothing' };
}

function stepEnd(message: NonNullable<WatchBuildResponse__Output['stepEnded']>) {
  return {
    verdict: needed(wordOf(STEP_VERDICTS, 'STEP_VERDICT_', message.verdict), message.verdict),
    source: wordOf(RESULT_SOURCES, 'RESULT_SOURCE_', message.source),
    message: message.message,
    failureClass: failureClassFromProto(message.failureClass, 'failure_class'),
    result: message.result === null ? undefined : stepResultFromProto(message.result, 'result'),
  };
}

function needed<T>(value: T | undefined, written: string): T {
  if (value !== undefined) return value;
  throw new Fault('INTERNAL', `The server said "${written}", which this version does not know`, { hint: 'Use a CLI of the same version.' });
}

export function explanationFromProto(message: ExplainStepResponse__Output): ExplanationView {
  const { summary, reasons, queuePosition, nearest, placement, cache, dependencyCaches } = message;
  return {
    phase: wordOf(STEP_PHASES, 'STEP_PHASE_', message.phase) ?? 'blocked',
    summary,
    reasons,
    queuePosition,
    nearest,
    placement,
    cache,
    dependencyCaches,
  };
}

function dependencyCacheFromProto(message: DependencyCacheState__Output): DependencyCacheView {
  const { name, key, foundKey, foundScope, why, warnings } = message;
  return {
    name,
    key,
    found: wordOf(DEPENDENCY_FOUND, 'DEPENDENCY_FOUND_', message.found),
    foundKey: foundKey || undefined,
    foundScope: foundScope || undefined,
    why,
    save: wordOf(DEPENDENCY_SAVES, 'DEPENDENCY_SAVE_', message.save),
    warnings,
    restores: message.restores.map(({ path, rung, bytesIn }) => ({ path, rung, bytesIn: Number(bytesIn) })),
  };
}

export function agentFromProto(message: AgentStatus__Output): AgentView {
  const { agent, connected, labels, running, draining, version } = message;
  return {
    agent,
    connected,
    labels,
    capacity: resourcesFromProto(message.capacity, 'capacity'),
    free: resourcesFromProto(message.free, 'free'),
    sandbox: sandboxTraitsFromProto(message.sandbox, 'sandbox'),
    running,
    draining,
    version,
    registeredAtMs: Number(message.registeredAtMs),
    breaker: breakerFromProto(message.breaker),
    cordoned: message.cordoned,
    keptFrom: message.keptFrom,
  };
}

/** Servers from before there were breakers in answers say nothing: then nothing is known to be held back. */
function breakerFromProto(message: BreakerStatus__Output | null): BreakerView {
  if (message === null) return { state: 'closed', errors: 0, sinceMs: undefined, lastError: '', probeAtMs: undefined };
  const { state, errors, sinceMs, lastError, probeAtMs } = message;
  return { state, errors, sinceMs: timeOf(sinceMs), lastError, probeAtMs: timeOf(probeAtMs) };
}

export function poolFromProto({ breaker, ...rest }: PoolStatus__Output): PoolView {
  return { ...rest, breaker: breakerFromProto(breaker) };
}

export function dependencyFromProto({ name, breaker, detail }: DependencyStatus__Output): DependencyView {
  return { name, breaker: breakerFromProto(breaker), detail };
}

export function holdFromProto(message: HoldStatus__Output): HoldView {
  const { target, kind, reason, by } = message;
  return { target, kind, reason, by, sinceMs: Number(message.sinceMs), expiresAtMs: timeOf(message.expiresAtMs) };
}
