import { digestToProto, failureClassToProto, sandboxTraitToProto, zoneToProto } from '../../proto/convert.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import type { Digest } from '../../cache/digest.ts';
import type { Plan, PlannedStep } from '../pipeline/plan.ts';

/** A step's own input tree. */
export type StepInputs = { readonly root: Digest; readonly bytes: number };

const RUN_IF = { succeeded: 'RUN_IF_SUCCEEDED', failed: 'RUN_IF_FAILED', always: 'RUN_IF_ALWAYS' } as const;
const POLICIES = { both: 'DEPENDENCY_POLICY_BOTH', pull: 'DEPENDENCY_POLICY_PULL', push: 'DEPENDENCY_POLICY_PUSH' } as const;
const LAG_USE = { skip: 'LAG_USE_SKIP', default: 'LAG_USE_DEFAULT' } as const;

/** The plan as the Build service takes it. */
export function submitRequestOf(plan: Plan, inputs: ReadonlyMap<string, StepInputs>, idempotencyKey: string): SubmitBuildRequest {
  return {
    idempotencyKey,
    name: plan.name,
    labels: plan.labels,
    weight: 1,
    timeoutMs: plan.timeoutMs,
    failFast: plan.failFast,
    steps: plan.steps.map((step) => stepOf(step, inputs.get(step.name))),
  };
}

function stepOf(step: PlannedStep, inputs: StepInputs | undefined): StepSpec {
  const { name, command, env, workingDirectory, selector, network, cacheable, salt, critical, priority, resources } = step;
  const { queueTimeoutMs, runTimeoutMs, totalTimeoutMs, graceMs } = step;
  return {
    name,
    command: [...command],
    env,
    passEnv: [...step.passEnv],
    workingDirectory,
    ...(inputs === undefined ? {} : { inputRoot: digestToProto(inputs.root), inputBytes: inputs.bytes }),
    needs: step.needs.map(({ step: needed, outputs }) => ({ step: needed, outputs })),
    outputs: [...step.outputs],
    selector,
    resources: { cpuMillis: resources.cpuMillis, memoryBytes: resources.memoryBytes, slots: resources.slots, custom: resources.custom },
    ...(step.zone === undefined ? {} : { zone: zoneToProto(step.zone) }),
    environment: step.environment,
    sandbox: step.sandbox.map(sandboxTraitToProto),
    network,
    cacheable,
    salt,
    dependencyCaches: step.dependencyCaches.map(({ policy, paths, parts, fallback, only, ...cache }) => ({
      ...cache,
      paths: [...paths],
      parts: [...parts],
      fallback: [...fallback],
      only: [...only],
      policy: POLICIES[policy],
    })),
    ...(step.sideEffects === undefined ? {} : { sideEffects: step.sideEffects }),
    critical,
    ...(step.onLag === undefined ? {} : { onLag: { afterMs: step.onLag.afterMs, use: LAG_USE[step.onLag.use] } }),
    runIf: RUN_IF[step.runIf],
    priority,
    queueTimeoutMs,
    runTimeoutMs,
    totalTimeoutMs,
    graceMs,
    ...(step.retry === undefined ? {} : { retry: retryOf(step.retry) }),
  };
}

function retryOf({ limits, initialMs, maxMs }: NonNullable<PlannedStep['retry']>) {
  return { limits: limits.map((limit) => ({ class: failureClassToProto(limit.class), retries: limit.retries })), initialMs, maxMs };
}
