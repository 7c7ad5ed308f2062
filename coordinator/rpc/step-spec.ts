import { Fault } from '../../base/fault.ts';
import type { FailureClass } from '../../base/failure.ts';
import { parseSelector } from '../../base/selector.ts';
import { atLeast, ZONES, type Zone } from '../../base/zone.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import { demandFromProto, digestFromProto, failureClassFromProto, sandboxTraitsFromProto, zoneFromProto } from '../../proto/convert.ts';
import type { OnLag__Output } from '../../proto/gen/switchyard/v1/OnLag.ts';
import type { RetryPolicy__Output } from '../../proto/gen/switchyard/v1/RetryPolicy.ts';
import type { StepSpec__Output } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import { isStepName } from '../core/ids.ts';
import { LIMITS } from '../core/limits.ts';
import { DEFAULT_RETRY, type Need, type OnLag, type RetryPolicy, type RunIf, type StepSpec } from '../core/spec.ts';
import { dependencyCachesOf, textsOf } from './dependency-cache.ts';
import { bad, brief, durationField, pathField, sorted, textField, variableField, wholeField } from './fields.ts';

/** What a step gets where it says nothing; documented in build.proto. */
export const STEP_DEFAULTS = { runTimeoutMs: 3_600_000, graceMs: 10_000 } as const;

const RUN_IF: ReadonlyMap<StepSpec__Output['runIf'], RunIf> = new Map([
  ['RUN_IF_UNSPECIFIED', 'succeeded'],
  ['RUN_IF_SUCCEEDED', 'succeeded'],
  ['RUN_IF_FAILED', 'failed'],
  ['RUN_IF_ALWAYS', 'always'],
]);
const LAG_USE: ReadonlyMap<OnLag__Output['use'], OnLag['use']> = new Map([
  ['LAG_USE_SKIP', 'skip'],
  ['LAG_USE_DEFAULT', 'default'],
]);
const PRIORITY_MAX = 1_000;
const RETRIES_MAX = 100;
const ARGUMENTS_MAX = 10_000;

/**
 * One step as the core takes it, with every default filled in. `at` names the step in the request (`steps[3]`).
 * @throws {Fault} BAD_REQUEST, TOO_LARGE, PATH_ESCAPES, FORBIDDEN, each naming the field.
 */
export function stepSpecFromProto(step: StepSpec__Output, at: string, zoneCeiling: Zone): StepSpec {
  if (!isStepName(step.name)) {
    throw bad(
      `${at}.name`,
      `must be letters, digits, "_", "." and "-" (at most 127), with a matrix part in brackets, but is "${brief(step.name)}"`,
    );
  }
  refuseLarge(step, at);
  const sideEffects = step._sideEffects === undefined ? !step.cacheable : step.sideEffects === true;
  const critical = step._critical === undefined ? true : step.critical === true;
  if (sideEffects && step.cacheable) {
    throw bad(`${at}.side_effects`, 'cannot be true for a cacheable step: a result from the cache would leave the effects out');
  }
  const inputRoot = step.inputRoot === null ? EMPTY_DIGEST : digestFromProto(step.inputRoot, `${at}.input_root`);
  return {
    name: step.name,
    command: commandOf(step.command, `${at}.command`),
    env: envOf(step.env, `${at}.env`),
    passEnv: step.passEnv.map((name, index) => variableField(name, `${at}.pass_env[${index}]`)),
    workingDirectory: pathField(step.workingDirectory, `${at}.working_directory`, true),
    inputRoot,
    inputBytes: wholeField(step.inputBytes, `${at}.input_bytes`, 0, Number.MAX_SAFE_INTEGER),
    needs: needsOf(step, at),
    outputs: outputsOf(step.outputs, `${at}.outputs`),
    selector: selectorOf(step.selector, `${at}.selector`),
    resources: resourcesOf(step, at),
    zone: zoneOf(step, at, zoneCeiling),
    sandbox: sandboxTraitsFromProto(step.sandbox, `${at}.sandbox`),
    network: step.network,
    cacheable: step.cacheable,
    salt: textField(step.salt, `${at}.salt`, 0, 1_024),
    ...(step.dependencyCaches.length === 0
      ? {}
      : { dependencyCaches: dependencyCachesOf(step.dependencyCaches, `${at}.dependency_caches`) }),
    sideEffects,
    critical,
    onLag: onLagOf(step.onLag, critical, `${at}.on_lag`),
    runIf: runIfOf(step.runIf, `${at}.run_if`),
    priority: wholeField(step.priority, `${at}.priority`, -PRIORITY_MAX, PRIORITY_MAX),
    queueTimeoutMs: durationField(step.queueTimeoutMs, `${at}.queue_timeout_ms`, undefined),
    runTimeoutMs: durationField(step.runTimeoutMs, `${at}.run_timeout_ms`, STEP_DEFAULTS.runTimeoutMs),
    totalTimeoutMs: durationField(step.totalTimeoutMs, `${at}.total_timeout_ms`, undefined),
    graceMs: durationField(step.graceMs, `${at}.grace_ms`, STEP_DEFAULTS.graceMs),
    retry: retryOf(step.retry, sideEffects, `${at}.retry`),
  };
}

/** Refuses a step whose text is over the limit, before anything else looks at it. */
function refuseLarge(step: StepSpec__Output, at: string): void {
  const count = (texts: readonly string[]) => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const parts = [
    { field: 'command', bytes: count(step.command) },
    { field: 'env', bytes: count(Object.entries(step.env).flat()) },
    { field: 'pass_env', bytes: count(step.passEnv) },
    { field: 'resources.custom', bytes: count(Object.keys(step.resources?.custom ?? {})) },
    { field: 'outputs', bytes: count(step.outputs) },
    { field: 'selector', bytes: count([step.selector]) },
    { field: 'dependency_caches', bytes: count(step.dependencyCaches.flatMap(textsOf)) },
  ];
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (total <= LIMITS.stepSpecBytes) return;
  const field = `${at}.${parts.toSorted((left, right) => right.bytes - left.bytes)[0]?.field ?? 'command'}`;
  throw new Fault(
    'TOO_LARGE',
    `${field}: the step "${brief(step.name)}" has ${total} bytes of text, at most ${LIMITS.stepSpecBytes} are taken`,
    {
      field,
      hint: 'Put a large script into a file of the inputs and run that.',
    },
  );
}

function commandOf(command: readonly string[], field: string): readonly string[] {
  if (command.length === 0 || command[0] === '') throw bad(field, 'must name a program, such as ["sh", "-c", "make"]');
  if (command.length > ARGUMENTS_MAX) throw bad(field, `has ${command.length} arguments, at most ${ARGUMENTS_MAX} are taken`);
  const nul = command.findIndex((argument) => argument.includes('\0'));
  if (nul >= 0) throw bad(`${field}[${nul}]`, 'must not contain NUL characters');
  return command;
}

function envOf(env: Readonly<Record<string, string>>, field: string): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(env)) {
    variableField(name, `${field} key`);
    if (value.includes('\0')) throw bad(`${field}["${name}"]`, 'must not contain NUL characters');
  }
  return sorted(env);
}

function needsOf(step: StepSpec__Output, at: string): readonly Need[] {
  if (step.needs.length > LIMITS.needsPerStep)
    throw bad(`${at}.needs`, `has ${step.needs.length} entries, at most ${LIMITS.needsPerStep} are taken`);
  const seen = new Set<string>();
  return step.needs.map((need, index) => {
    if (seen.has(need.step)) throw bad(`${at}.needs[${index}].step`, `names "${brief(need.step)}" a second time`);
    seen.add(need.step);
    return { step: need.step, outputs: need.outputs };
  });
}

function outputsOf(outputs: readonly string[], field: string): readonly string[] {
  if (outputs.length > LIMITS.outputsPerStep) throw bad(field, `has ${outputs.length} entries, at most ${LIMITS.outputsPerStep} are taken`);
  const paths = outputs.map((path, index) => pathField(path, `${field}[${index}]`, false));
  const seen = new Set<string>();
  for (const [index, path] of paths.entries()) {
    if (seen.has(path)) throw bad(`${field}[${index}]`, `names "${brief(path)}" a second time`);
    seen.add(path);
  }
  return paths;
}

function selectorOf(text: string, field: string): string {
  const parsed = parseSelector(text);
  if (parsed.kind === 'bad') throw bad(field, `is not a selector: ${parsed.message}`);
  const count = parsed.selector.requirements.length;
  if (count > LIMITS.requirementsPerSelector)
    throw bad(field, `has ${count} requirements, at most ${LIMITS.requirementsPerSelector} are taken`);
  return text;
}

function resourcesOf(step: StepSpec__Output, at: string): StepSpec['resources'] {
  const demand = demandFromProto(step.resources, `${at}.resources`);
  return { ...demand, custom: sorted(demand.custom) };
}

function zoneOf(step: StepSpec__Output, at: string, zoneCeiling: Zone): Zone {
  const zone = zoneFromProto(step.zone, `${at}.zone`, ZONES[0]);
  if (!atLeast(zoneCeiling, zone)) {
    throw new Fault('FORBIDDEN', `${at}.zone is ${zone}, but the caller's steps may run in ${zoneCeiling} at most`, {
      field: `${at}.zone`,
    });
  }
  return zone;
}

function onLagOf(onLag: OnLag__Output | null, critical: boolean, field: string): OnLag | undefined {
  if (onLag === null) return undefined;
  if (critical) throw bad(field, 'is for steps with critical: false only');
  const use = LAG_USE.get(onLag.use);
  if (use === undefined) throw bad(`${field}.use`, `must be one of ${[...LAG_USE.keys()].join(', ')}`);
  return { afterMs: durationField(onLag.afterMs, `${field}.after_ms`, 0), use };
}

function runIfOf(value: StepSpec__Output['runIf'], field: string): RunIf {
  const runIf = RUN_IF.get(value);
  if (runIf === undefined) throw bad(field, `must be one of ${[...RUN_IF.keys()].join(', ')}`);
  return runIf;
}

/** The policy over the defaults. A step with side effects is not run again after its agent was lost, unless it says so. */
function retryOf(retry: RetryPolicy__Output | null, sideEffects: boolean, field: string): RetryPolicy {
  const limits: Record<Exclude<FailureClass, 'cancelled'>, number> = { ...DEFAULT_RETRY.limits };
  if (sideEffects) limits['agent-lost'] = 0;
  for (const [index, limit] of (retry?.limits ?? []).entries()) {
    const name = failureClassFromProto(limit.class, `${field}.limits[${index}].class`);
    if (name === undefined) throw bad(`${field}.limits[${index}].class`, 'is missing: name the class that the limit is for');
    if (name === 'cancelled') throw bad(`${field}.limits[${index}].class`, 'cannot be CANCELLED: what somebody stopped is not tried again');
    limits[name] = wholeField(limit.retries, `${field}.limits[${index}].retries`, 0, RETRIES_MAX);
  }
  const initialMs = durationField(retry?.initialMs ?? 0, `${field}.initial_ms`, DEFAULT_RETRY.initialMs);
  const maxMs = durationField(retry?.maxMs ?? 0, `${field}.max_ms`, Math.max(initialMs, DEFAULT_RETRY.maxMs));
  if (maxMs < initialMs) throw bad(`${field}.max_ms`, `must be at least initial_ms, ${initialMs}`);
  return { limits, initialMs, maxMs };
}
