import type { Caller } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { digestOf, hashOf } from '../../cache/digest.ts';
import type { SubmitBuildRequest__Output } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { LIMITS } from '../core/limits.ts';
import type { BuildSpec } from '../core/spec.ts';
import { bad, durationField, labelsField, textField } from './fields.ts';
import { stepSpecFromProto } from './step-spec.ts';

/** A build as the core takes it, with what tells a repeat of the request from another one. */
export type Submission = { readonly spec: BuildSpec; readonly idempotencyKey: string; readonly requestDigest: string };

const WEIGHT_MIN = 0.01;
const WEIGHT_MAX = 100;

/**
 * Checks a request field by field and fills in the defaults. What concerns several steps at once (unknown needs, cycles,
 * bounds of the whole) is the core's to refuse. @throws {Fault} BAD_REQUEST, TOO_LARGE, PATH_ESCAPES, FORBIDDEN
 */
export function submissionFromProto(request: SubmitBuildRequest__Output, caller: Caller): Submission {
  const { steps } = request;
  if (steps.length === 0) throw bad('steps', 'must have at least one step');
  if (steps.length > LIMITS.stepsPerBuild) {
    const hint = 'Split it into several builds.';
    throw new Fault('TOO_LARGE', `steps has ${steps.length} entries, at most ${LIMITS.stepsPerBuild} are taken`, { field: 'steps', hint });
  }
  const weight = request.weight === 0 ? 1 : request.weight;
  if (!(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX))
    throw bad('weight', `must be from ${WEIGHT_MIN} to ${WEIGHT_MAX}, but is ${request.weight}`);
  const spec: BuildSpec = {
    name: textField(request.name, 'name', 1, 128),
    project: caller.project,
    scope: caller.scope,
    zoneCeiling: caller.zoneCeiling,
    submittedBy: caller.name,
    labels: labelsField(request.labels, 'labels'),
    weight,
    timeoutMs: durationField(request.timeoutMs, 'timeout_ms', undefined),
    failFast: request.failFast,
    steps: steps.map((step, index) => stepSpecFromProto(step, `steps[${index}]`, caller.zoneCeiling)),
  };
  refuseRepeatedNames(spec);
  const idempotencyKey = textField(request.idempotencyKey, 'idempotency_key', 1, 128);
  return { spec, idempotencyKey, requestDigest: hashOf(digestOf(Buffer.from(JSON.stringify(spec)))) };
}

function refuseRepeatedNames(spec: BuildSpec): void {
  const seen = new Map<string, number>();
  for (const [index, step] of spec.steps.entries()) {
    const before = seen.get(step.name);
    if (before !== undefined) throw bad(`steps[${index}].name`, `"${step.name}" is the name of steps[${before}] too`);
    seen.set(step.name, index);
  }
}
