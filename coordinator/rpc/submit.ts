import { isOpenScope, scopeChain, type Caller } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { atLeast, ZONES, type Zone } from '../../base/zone.ts';
import { digestOf, hashOf } from '../../cache/digest.ts';
import type { FloorOf } from '../../cache/quotas.ts';
import type { SubmitBuildRequest__Output } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';
import { LIMITS } from '../core/limits.ts';
import type { BuildSpec, StepSpec } from '../core/spec.ts';
import { withinEnvironment } from './environment.ts';
import { bad, brief, durationField, labelsField, textField } from './fields.ts';
import { stepSpecFromProto } from './step-spec.ts';

/** A build as the core takes it. */
export type Submission = { readonly spec: BuildSpec; readonly idempotencyKey: string };

const WEIGHT_MIN = 0.01;
const WEIGHT_MAX = 100;
const UNTRUSTED_INPUTS_MAX = 64;

/**
 * Checks a request field by field and fills in the defaults. What concerns several steps at once (unknown needs, cycles,
 * bounds of the whole) is the core's to refuse. @throws {Fault} BAD_REQUEST, TOO_LARGE, PATH_ESCAPES, FORBIDDEN
 */
export function submissionFromProto(
  request: SubmitBuildRequest__Output,
  caller: Caller,
  floorOf: FloorOf = () => undefined,
  topology: Topology = OPEN_TOPOLOGY,
): Submission {
  const { steps } = request;
  if (steps.length === 0) throw bad('steps', 'must have at least one step');
  if (steps.length > LIMITS.stepsPerBuild) {
    const hint = 'Split it into several builds.';
    throw new Fault('TOO_LARGE', `steps has ${steps.length} entries, at most ${LIMITS.stepsPerBuild} are taken`, { field: 'steps', hint });
  }
  const weight = request.weight === 0 ? 1 : request.weight;
  if (!(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX))
    throw bad('weight', `must be from ${WEIGHT_MIN} to ${WEIGHT_MAX}, but is ${request.weight}`);
  const { scope, zoneCeiling } = placeOf(request, caller);
  const place = { project: caller.project, scope, zoneCeiling };
  const spec: BuildSpec = {
    name: textField(request.name, 'name', 1, 128),
    ...place,
    submittedBy: caller.name,
    labels: labelsField(request.labels, 'labels'),
    weight,
    timeoutMs: durationField(request.timeoutMs, 'timeout_ms', undefined),
    failFast: request.failFast,
    steps: steps.map((step, index) => {
      const at = `steps[${index}]`;
      const asked = stepSpecFromProto(step, at, zoneCeiling);
      return withinFloor(floorOf, place, withinEnvironment(topology, step.environment, { step: asked, at, zoneCeiling }));
    }),
  };
  refuseRepeatedNames(spec);
  return { spec, idempotencyKey: textField(request.idempotencyKey, 'idempotency_key', 1, 128) };
}

/** Where the build belongs: at the caller's own place or below. Nothing that a request says leads up or sideways. */
function placeOf({ scope: wanted, untrustedInputs }: SubmitBuildRequest__Output, caller: Caller): Pick<Caller, 'scope' | 'zoneCeiling'> {
  const scope = wanted === '' ? caller.scope : wanted;
  if (!isOpenScope(scope)) throw bad('scope', `must be a path such as ${caller.scope}/pr-7, but is "${brief(scope)}"`);
  if (!scopeChain(scope).includes(caller.scope)) {
    throw new Fault('FORBIDDEN', `scope is ${scope}, and your credential is for ${caller.scope} and below`, { field: 'scope' });
  }
  if (untrustedInputs.length === 0) return { scope, zoneCeiling: caller.zoneCeiling };
  if (untrustedInputs.length > UNTRUSTED_INPUTS_MAX)
    throw bad('untrusted_inputs', `has ${untrustedInputs.length} entries, at most ${UNTRUSTED_INPUTS_MAX} are taken`);
  const words = untrustedInputs.map((text, index) => textField(text, `untrusted_inputs[${index}]`, 1, 512));
  const tainted = `${scope}/untrusted-${hashOf(digestOf(Buffer.from(JSON.stringify(words.toSorted())))).slice(0, 16)}`;
  if (!isOpenScope(tainted)) throw bad('scope', 'has no room for another part below it, which untrusted inputs need');
  return { scope: tainted, zoneCeiling: ZONES[0] };
}

/**
 * The step, in no lower a zone than its scope takes results from.
 * @throws {Fault} FORBIDDEN where the build may not run as high as that
 */
export function withinFloor(floorOf: FloorOf, place: Pick<BuildSpec, 'project' | 'scope' | 'zoneCeiling'>, step: StepSpec): StepSpec {
  const { scope, zoneCeiling } = place;
  const floor: Zone = floorOf(place) ?? ZONES[0];
  if (!atLeast(zoneCeiling, floor)) {
    const message = `The scope ${scope} takes results from the zone ${floor} on, and the build may run in ${zoneCeiling} at most`;
    const hint = 'Submit to a scope below it, or with a credential whose zoneCeiling is high enough.';
    throw new Fault('FORBIDDEN', message, { field: 'scope', hint });
  }
  return atLeast(step.zone, floor) ? step : { ...step, zone: floor };
}

function refuseRepeatedNames(spec: BuildSpec): void {
  const seen = new Map<string, number>();
  for (const [index, step] of spec.steps.entries()) {
    const before = seen.get(step.name);
    if (before !== undefined) throw bad(`steps[${index}].name`, `"${step.name}" is the name of steps[${before}] too`);
    seen.set(step.name, index);
  }
}
