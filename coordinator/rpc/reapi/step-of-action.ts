import type { Caller } from '../../../base/caller.ts';
import { Fault } from '../../../base/fault.ts';
import { digestToProto } from '../../../proto/convert.ts';
import type { Command__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Command.ts';
import type { ExecuteRequest__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteRequest.ts';
import type { Platform__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Platform.ts';
import type { BuildSpec, GivenAction, StepSpec } from '../../core/spec.ts';
import { LIMITS } from '../../core/limits.ts';
import { bad, brief, DURATION_MS_MAX } from '../fields.ts';
import { stepSpecFromProto } from '../step-spec.ts';
import { withinFloor } from '../submit.ts';
import type { FloorOf } from '../../../cache/quotas.ts';
import type { FoundAction } from './action-message.ts';
import { outputPath } from './output-path.ts';
import { demandsOf } from './platform.ts';
import type { ToolCall } from './request-metadata.ts';

/** The name of the one step of a build that an action became. */
export const STEP_NAME = 'action';

/** Priorities of the API, where less is sooner; ours are the other way round. */
export const PRIORITY_MAX = 1_000;

/** An action that was killed for its memory is tried once more: it may have been the host's. */
const OOM_RETRIES = 1;

export type Translation = {
  readonly request: ExecuteRequest__Output;
  readonly found: FoundAction;
  readonly call: ToolCall;
  readonly caller: Caller;
  /** Where its result is kept. */
  readonly scope: string;
  readonly floorOf: FloorOf;
  /** Names of platform properties that are left out of account. */
  readonly ignored: ReadonlySet<string>;
};

/**
 * The build of one step that runs the action. Builds of one run of a tool have one share together.
 * @throws {Fault} BAD_REQUEST, TOO_LARGE, PATH_ESCAPES, FORBIDDEN, each naming the field
 */
export function buildOfAction(translation: Translation): BuildSpec {
  const { call, caller, scope, floorOf } = translation;
  const place = { project: caller.project, scope, zoneCeiling: caller.zoneCeiling };
  return {
    name: `${call.mnemonic || 'Action'} ${call.target}`.trim().slice(0, 128),
    ...place,
    submittedBy: caller.name,
    labels: labelsOf(call),
    weight: 1,
    share: JSON.stringify([caller.name, call.tool, call.invocation]),
    timeoutMs: undefined,
    failFast: false,
    steps: [withinFloor(floorOf, place, stepOfAction(translation))],
  };
}

function labelsOf({ tool, invocation, target, mnemonic }: ToolCall): Readonly<Record<string, string>> {
  const said = Object.entries({ invocation, mnemonic, target, tool }).filter(([, value]) => value !== '');
  return Object.fromEntries(said);
}

function stepOfAction({ request, found, caller, ignored }: Translation): StepSpec {
  const { action, command, inputRoot, inputBytes } = found;
  refuseForeignSalt(action.salt);
  const hasOwn = (platform: Platform__Output | null) => platform !== null && platform.properties.length > 0;
  const platform = hasOwn(action.platform) ? action.platform : command.platform;
  const { cpuMillis, memoryBytes, custom, ...demands } = demandsOf(
    platform,
    hasOwn(action.platform) ? 'action.platform' : 'command.platform',
    ignored,
  );
  const { outputs, directories } = outputsOf(command);
  const step = stepSpecFromProto(
    {
      name: STEP_NAME,
      command: command.arguments,
      env: Object.fromEntries(command.environmentVariables.map(({ name, value }) => [name, value])),
      workingDirectory: command.workingDirectory,
      inputRoot: digestToProto(inputRoot),
      inputBytes: String(inputBytes),
      needs: [],
      outputs: [],
      ...demands,
      resources: { cpuMillis: String(cpuMillis), memoryBytes: String(memoryBytes), slots: 0, custom: { ...custom } },
      cacheable: !action.doNotCache,
      salt: '',
      sideEffects: false,
      _sideEffects: 'sideEffects',
      onLag: null,
      runIf: 'RUN_IF_UNSPECIFIED',
      priority: priorityOf(request),
      queueTimeoutMs: '0',
      runTimeoutMs: String(timeoutMs(action.timeout)),
      totalTimeoutMs: '0',
      graceMs: '0',
      retry: null,
      dependencyCaches: [],
      environment: '',
    },
    'command',
    caller.zoneCeiling,
  );
  const given: GivenAction = {
    action: found.digest,
    lookUp: !request.skipCacheLookup,
    ...(directories === undefined ? {} : { directories }),
  };
  const retry = { ...step.retry, limits: { ...step.retry.limits, oom: OOM_RETRIES } };
  return { ...step, outputs, retry, given };
}

/**
 * Our own steps' actions say the keys of their dependency caches as a list in their salt. An action that comes with one would run
 * without them, and its result would pass for theirs.
 */
function refuseForeignSalt(salt: Buffer): void {
  if (!salt.toString('latin1').startsWith('["')) return;
  throw bad('action.salt', 'begins as that of a step with dependency caches: such a step is run by SubmitBuild only');
}

function outputsOf(command: Command__Output): { readonly outputs: readonly string[]; readonly directories: readonly string[] | undefined } {
  const { outputPaths, outputFiles, outputDirectories, workingDirectory } = command;
  const pathsOf = (paths: readonly string[], field: string) =>
    paths.map((path, index) => outputPath(workingDirectory, path, `command.${field}[${index}]`));
  const isNew = outputPaths.length > 0;
  const files = isNew ? pathsOf(outputPaths, 'output_paths') : pathsOf(outputFiles, 'output_files');
  const directories = isNew ? [] : pathsOf(outputDirectories, 'output_directories');
  const both = directories.find((path) => files.includes(path));
  if (both !== undefined) throw bad('command.output_directories', `names "${brief(both)}", as output_files does`);
  const outputs = [...new Set([...files, ...directories])];
  if (outputs.length > LIMITS.outputsPerStep) {
    const field = isNew ? 'command.output_paths' : 'command.output_files';
    throw bad(field, `has ${outputs.length} entries, at most ${LIMITS.outputsPerStep} are taken`);
  }
  return { outputs, directories: isNew ? undefined : directories };
}

function priorityOf({ executionPolicy }: ExecuteRequest__Output): number {
  const priority = executionPolicy?.priority ?? 0;
  if (Math.abs(priority) <= PRIORITY_MAX) return priority === 0 ? 0 : -priority;
  throw bad('execution_policy.priority', `must be from ${-PRIORITY_MAX} to ${PRIORITY_MAX}, but is ${priority}`);
}

/** 0 for the default. */
function timeoutMs(timeout: FoundAction['action']['timeout']): number {
  if (timeout === null) return 0;
  const ms = Number(timeout.seconds) * 1_000 + timeout.nanos / 1_000_000;
  if (ms === 0) return 0;
  if (ms > 0 && ms <= DURATION_MS_MAX) return Math.max(1, Math.round(ms));
  throw new Fault('BAD_REQUEST', `action.timeout is ${ms} ms, but must be above 0 and at most ${DURATION_MS_MAX} ms`, {
    field: 'action.timeout',
  });
}
