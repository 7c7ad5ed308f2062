import type { FaultCode } from '../../base/fault.ts';
import { parseSelector, type SelectorParse } from '../../base/selector.ts';
import { atLeast } from '../../base/zone.ts';
import { findCycle, isAcyclic } from './graph.ts';
import { isStepName } from './ids.ts';
import type { Limits } from './limits.ts';
import type { BuildSpec, StepSpec } from './spec.ts';

export type Refusal = { readonly code: FaultCode; readonly message: string; readonly field: string };

/** Why the build cannot be accepted, whatever the state of the cluster; undefined = it can. */
export function checkBuild(spec: BuildSpec, limits: Limits): Refusal | undefined {
  const labels = Object.entries(spec.labels);
  if (spec.steps.length === 0) return bad('steps', 'A build needs at least one step');
  if (spec.steps.length > limits.stepsPerBuild) {
    return large('steps', `A build may have ${limits.stepsPerBuild} steps, this one has ${spec.steps.length}: split it`);
  }
  if (labels.length > limits.labelsPerBuild)
    return large('labels', `A build may have ${limits.labelsPerBuild} labels, this one has ${labels.length}`);
  if (labels.some(([key, value]) => key.length > limits.labelBytes || value.length > limits.labelBytes)) {
    return large('labels', `Keys and values of labels may have ${limits.labelBytes} characters`);
  }
  if (!(spec.weight > 0 && Number.isFinite(spec.weight))) return bad('weight', 'The weight must be above 0');
  if (spec.timeoutMs !== undefined && !(spec.timeoutMs > 0)) return bad('timeout', 'The timeout must be above 0');
  return checkSteps(spec, limits);
}

function checkSteps(spec: BuildSpec, limits: Limits): Refusal | undefined {
  const names = new Map<string, number>();
  for (const [index, step] of spec.steps.entries()) {
    if (!isStepName(step.name))
      return bad(`steps[${index}].name`, `"${step.name.slice(0, 64)}" is no step name: letters, digits, "_", "." and "-"`);
    if (names.has(step.name)) return bad(`steps[${index}].name`, `Two steps are called "${step.name}"`);
    names.set(step.name, index);
  }
  const selectors = new Map<string, SelectorParse>();
  let needCount = 0;
  let totalBytes = 0;
  for (const [index, step] of spec.steps.entries()) {
    const refusal = checkNeeds(step, names, limits) ?? checkStep(step, spec, limits, selectors);
    if (refusal !== undefined) return { ...refusal, field: `steps[${index}].${refusal.field}` };
    needCount += step.needs.length;
    const bytes = textBytes(step);
    if (bytes > limits.stepSpecBytes) {
      const message = `Step "${step.name}" takes ${bytes} bytes of text, ${limits.stepSpecBytes} are allowed: put long scripts into a file of the inputs`;
      return large(`steps[${index}].command`, message);
    }
    totalBytes += bytes;
  }
  if (needCount > limits.needsPerBuild)
    return large('steps', `The steps of a build may have ${limits.needsPerBuild} needs together, these have ${needCount}`);
  if (totalBytes > limits.buildSpecBytes)
    return large('steps', `The steps' text may take ${limits.buildSpecBytes} bytes, this takes ${totalBytes}`);
  if (isAcyclic(spec.steps, names)) return undefined;
  const cycle = findCycle(spec.steps.map((step) => ({ name: step.name, needs: step.needs.map((need) => need.step) }))) ?? [];
  return bad('steps', `Steps need each other in a circle: ${shortened(cycle).join(' -> ')}`);
}

/** The refusal's field is within the step. */
function checkNeeds(step: StepSpec, names: ReadonlyMap<string, number>, limits: Limits): Refusal | undefined {
  if (step.needs.length > limits.needsPerStep) {
    return large('needs', `A step may need ${limits.needsPerStep} others, "${step.name}" needs ${step.needs.length}`);
  }
  const seen = step.needs.length > 1 ? new Set<string>() : undefined;
  for (const [index, need] of step.needs.entries()) {
    if (need.step === step.name) return bad(`needs[${index}]`, `Step "${step.name}" needs itself`);
    if (seen?.has(need.step) === true) return bad(`needs[${index}]`, `Step "${step.name}" needs "${need.step}" twice`);
    seen?.add(need.step);
    if (names.has(need.step)) continue;
    const near = nearest(need.step, names);
    return bad(
      `needs[${index}]`,
      `Step "${step.name}" needs "${need.step}", which the build does not have${near === undefined ? '' : `; did you mean "${near}"?`}`,
    );
  }
  return undefined;
}

/** The refusal's field is within the step. */
function checkStep(step: StepSpec, spec: BuildSpec, limits: Limits, selectors: Map<string, SelectorParse>): Refusal | undefined {
  let parsed = selectors.get(step.selector);
  if (parsed === undefined) selectors.set(step.selector, (parsed = parseSelector(step.selector)));
  if (parsed.kind === 'bad') return bad('selector', parsed.message);
  if (parsed.selector.requirements.length > limits.requirementsPerSelector) {
    return large('selector', `A selector may have ${limits.requirementsPerSelector} requirements`);
  }
  if (!atLeast(spec.zoneCeiling, step.zone)) {
    const message = `Step "${step.name}" asks for zone ${step.zone}, above the caller's ceiling ${spec.zoneCeiling}`;
    return { code: 'FORBIDDEN', message, field: 'zone' };
  }
  if (step.command.length === 0) return bad('command', `Step "${step.name}" has no command`);
  if (step.onLag !== undefined && step.critical) return bad('onLag', `Step "${step.name}" is critical: onLag is for steps that are not`);
  const { cpuMillis, memoryBytes, slots, custom } = step.resources;
  const amount = badAmount('cpuMillis', cpuMillis) ?? badAmount('memoryBytes', memoryBytes) ?? badAmount('slots', slots);
  if (amount !== undefined) return amount;
  for (const [name, count] of Object.entries(custom)) {
    const refusal = badAmount(name, count);
    if (refusal !== undefined) return refusal;
  }
  return (
    badDuration(step, 'queueTimeout', step.queueTimeoutMs) ??
    badDuration(step, 'runTimeout', step.runTimeoutMs) ??
    badDuration(step, 'totalTimeout', step.totalTimeoutMs)
  );
}

function badAmount(name: string, count: number): Refusal | undefined {
  if (Number.isSafeInteger(count) && count >= 0) return undefined;
  return bad(`resources.${name}`, `${count} is no amount: a whole number from 0`);
}

function badDuration(step: StepSpec, name: string, ms: number | undefined): Refusal | undefined {
  return ms === undefined || ms > 0 ? undefined : bad(name, `The ${name} of "${step.name}" must be above 0`);
}

/** UTF-16 units count as bytes here: close enough for a bound, and cheap. */
function textBytes(step: StepSpec): number {
  let bytes = step.name.length + step.selector.length + step.salt.length + step.workingDirectory.length;
  for (const word of step.command) bytes += word.length;
  for (const name in step.env) bytes += name.length + (step.env[name] ?? '').length;
  for (const path of step.outputs) bytes += path.length;
  for (const { name, key, paths, fallback, parts, only = [] } of step.dependencyCaches ?? []) {
    bytes += name.length + key.length;
    for (const word of [...paths, ...fallback, ...only]) bytes += word.length;
    for (const part of parts) bytes += part.name.length + part.value.length;
  }
  return bytes;
}

/** The known name that is fewest edits away, where that is close enough to be a slip. */
function nearest(name: string, known: ReadonlyMap<string, number>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(4, Math.ceil(name.length / 2) + 1);
  for (const candidate of known.keys()) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const change = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(change, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}

/** A long circle with its middle left out. */
function shortened(names: readonly string[]): readonly string[] {
  return names.length <= 12 ? names : [...names.slice(0, 6), `(${names.length - 11} more)`, ...names.slice(-5)];
}

function bad(field: string, message: string): Refusal {
  return { code: 'BAD_REQUEST', message, field };
}

function large(field: string, message: string): Refusal {
  return { code: 'TOO_LARGE', message, field };
}
