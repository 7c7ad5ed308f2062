import { status } from '@grpc/grpc-js';
import { unreachable } from '../../../base/assert.ts';
import type { FailureClass } from '../../../base/failure.ts';
import { encodeStepResult } from '../../../cache/action/action-result.ts';
import type { OutputEntry, StepResult } from '../../../cache/action/result.ts';
import type { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/ActionResult.ts';
import type { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteResponse.ts';
import { loadProto } from '../../../proto/load.ts';
import { describe } from '../../core/build-end.ts';
import type { GivenAction, StepSpec } from '../../core/spec.ts';
import type { StepOutcome } from '../../core/state.ts';

/** By whom a build is cancelled that no agent could ever take; its reason says what they lack. */
export const NO_AGENT = 'switchyard:no-agent';

/**
 * What the caller is told of the end. A command that ended by itself is a result, whatever its code. The status says what else there
 * was: clients try UNAVAILABLE again, and nothing that would end in the same way.
 */
export function responseOf(outcome: StepOutcome, spec: StepSpec): ExecuteResponse {
  switch (outcome.kind) {
    case 'succeeded': {
      const wrong = spec.given === undefined ? undefined : misplaced(outcome.result.outputs, spec.given);
      const result = resultToProto(outcome.result, spec.given);
      if (wrong !== undefined) return { result, status: { code: status.FAILED_PRECONDITION, message: wrong } };
      return { result, cachedResult: outcome.from === 'cache', status: { code: status.OK } };
    }
    case 'failed':
      return failed(outcome.class, outcome.message, outcome.result, spec.given);
    case 'errored':
      return without(status.UNAVAILABLE, describe(outcome));
    case 'quarantined':
      // Not to be tried again by itself: each try takes agents down.
      return without(status.FAILED_PRECONDITION, describe(outcome));
    case 'timed-out':
      return without(status.DEADLINE_EXCEEDED, describe(outcome));
    case 'cancelled':
      if (outcome.by === NO_AGENT) return without(status.FAILED_PRECONDITION, outcome.reason);
      return without(status.CANCELLED, describe(outcome));
    case 'skipped':
      return without(status.INTERNAL, describe(outcome));
    default:
      return unreachable(outcome);
  }
}

function failed(kind: FailureClass, message: string, result: StepResult | undefined, given: GivenAction | undefined): ExecuteResponse {
  const shown = result === undefined ? {} : { result: resultToProto(result, given) };
  switch (kind) {
    case 'exit':
    case 'oom':
      if (result === undefined) return without(status.INVALID_ARGUMENT, message);
      return { ...shown, status: { code: status.OK }, message };
    case 'timeout':
      return { ...shown, status: { code: status.DEADLINE_EXCEEDED, message }, message };
    case 'output':
      return { ...shown, status: { code: status.FAILED_PRECONDITION, message }, message };
    case 'cancelled':
      return without(status.CANCELLED, message);
    case 'agent-lost':
    case 'agent-stop':
    case 'sandbox-error':
    case 'cache-error':
      return without(status.UNAVAILABLE, message);
    default:
      return unreachable(kind);
  }
}

function without(code: status, message: string): ExecuteResponse {
  return { status: { code, message }, message };
}

/** What is not of the kind that the caller said, where it did. */
function misplaced(outputs: readonly OutputEntry[], { directories }: GivenAction): string | undefined {
  if (directories === undefined) return undefined;
  for (const { kind, path } of outputs) {
    if (kind === 'directory' && !directories.includes(path)) return `The output "${path}" is a directory, and output_files names it`;
    if (kind === 'file' && directories.includes(path)) return `The output "${path}" is a file, and output_directories names it`;
  }
  return undefined;
}

/** The result as the API has it. Callers that tell files from directories are told of links in that way too. */
export function resultToProto(result: StepResult, given: GivenAction | undefined): ActionResult {
  const codec = loadProto().build.bazel.remote.execution.v2.ActionResult;
  const message: ActionResult = codec.deserialize(Buffer.from(encodeStepResult(result)));
  const links = message.outputSymlinks ?? [];
  if (given?.directories === undefined || links.length === 0) return message;
  const toDirectory = new Set(given.directories);
  return {
    ...message,
    outputFileSymlinks: links.filter(({ path = '' }) => !toDirectory.has(path)),
    outputDirectorySymlinks: links.filter(({ path = '' }) => toDirectory.has(path)),
  };
}
