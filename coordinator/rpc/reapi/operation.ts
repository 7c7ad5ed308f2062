import { status } from '@grpc/grpc-js';
import type { TimeMs } from '../../../base/clock.ts';
import { digestToProto } from '../../../proto/convert.ts';
import type { ExecuteOperationMetadata } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteOperationMetadata.ts';
import type { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteResponse.ts';
import type { Operation } from '../../../proto/gen/google/longrunning/Operation.ts';
import { loadProto } from '../../../proto/load.ts';
import { hashOf, sizeOf, type Digest } from '../../../cache/digest.ts';
import { parseBuildId, type BuildId } from '../../core/ids.ts';
import { isAction } from '../../core/spec.ts';
import type { StepState } from '../../core/state.ts';
import type { BuildView, StepView } from '../../core/view.ts';
import { bad, brief } from '../fields.ts';
import { streamName } from './stream-name.ts';

type Stage = ExecuteOperationMetadata['stage'];

const PREFIX = 'operations/';
const TYPES = 'type.googleapis.com/build.bazel.remote.execution.v2.';

/** The operation's name. It says which build it is, and is known to the build's project only. */
export function operationName(build: BuildId): string {
  return PREFIX + build;
}

/** @throws {Fault} BAD_REQUEST where the name is none of ours */
export function buildOfName(name: string): BuildId {
  const id = name.startsWith(PREFIX) ? parseBuildId(name.slice(PREFIX.length)) : undefined;
  if (id === undefined) throw bad('name', `must be that of an operation, such as ${PREFIX}b-..., but is "${brief(name)}"`);
  return id;
}

/** The one step of a build that an action became; undefined for other builds. */
export function actionStep(view: BuildView | undefined): StepView | undefined {
  return view !== undefined && isAction(view) ? view.steps[0] : undefined;
}

/** The operation as it stands, before its end. */
export function operationUnderWay(view: BuildView, step: StepView): Operation {
  return { name: operationName(view.record.id), metadata: packed('ExecuteOperationMetadata', metadataOf(view, step)), done: false };
}

/** The operation at its end. */
export function operationEnded(view: BuildView, step: StepView, response: ExecuteResponse): Operation {
  return ended(operationName(view.record.id), { ...metadataOf(view, step), stage: 'COMPLETED' }, response);
}

function ended(name: string, metadata: ExecuteOperationMetadata, response: ExecuteResponse): Operation {
  return { name, metadata: packed('ExecuteOperationMetadata', metadata), done: true, response: packed('ExecuteResponse', response) };
}

/** An operation that ended before it began: blobs of the action have to be stored first. */
export function operationOfMissing(build: BuildId, action: Digest, missing: readonly Digest[]): Operation {
  const metadata = { stage: 'COMPLETED', actionDigest: digestToProto(action), digestFunction: 'SHA256' } as const;
  return ended(operationName(build), metadata, { status: missingStatus(missing) });
}

/** What tells clients to store blobs and to try again: it names all of them, and nothing else. */
export function missingStatus(missing: readonly Digest[]): NonNullable<ExecuteResponse['status']> {
  const violations = missing.map((digest) => ({ type: 'MISSING', subject: `blobs/${hashOf(digest)}/${sizeOf(digest)}` }));
  const value = loadProto().google.rpc.PreconditionFailure.serialize({ violations });
  return {
    code: status.FAILED_PRECONDITION,
    message: `${missing.length} blobs of the action are not in the store: upload them and execute it again`,
    details: [{ type_url: 'type.googleapis.com/google.rpc.PreconditionFailure', value }],
  };
}

function packed(type: 'ExecuteOperationMetadata', message: ExecuteOperationMetadata): NonNullable<Operation['metadata']>;
function packed(type: 'ExecuteResponse', message: ExecuteResponse): NonNullable<Operation['metadata']>;
function packed(type: 'ExecuteOperationMetadata' | 'ExecuteResponse', message: object): NonNullable<Operation['metadata']> {
  const codec: { serialize(message: object): Buffer } = loadProto().build.bazel.remote.execution.v2[type];
  return { type_url: TYPES + type, value: codec.serialize(message) };
}

function metadataOf(view: BuildView, { id, spec, record }: StepView): ExecuteOperationMetadata {
  const attempt = record.attempts.at(-1);
  const isOut = record.state.kind === 'running' || record.state.kind === 'ended';
  return {
    stage: STAGES[record.state.kind],
    actionDigest: spec.given === undefined ? null : digestToProto(spec.given.action),
    // Both streams are one log, in the order in which the command wrote it.
    stdoutStreamName: isOut && attempt !== undefined ? streamName(view.record.spec, id) : '',
    partialExecutionMetadata: {
      worker: isOut ? (attempt?.agent ?? '') : '',
      queuedTimestamp: timestamp(record.readyAt ?? view.record.acceptedAt),
      workerStartTimestamp: isOut && attempt !== undefined ? timestamp(attempt.acceptedAt) : null,
    },
    digestFunction: 'SHA256',
  };
}

const STAGES = {
  blocked: 'CACHE_CHECK',
  resolving: 'CACHE_CHECK',
  queued: 'QUEUED',
  offered: 'QUEUED',
  merged: 'QUEUED',
  running: 'EXECUTING',
  ended: 'COMPLETED',
} as const satisfies Record<StepState['kind'], Stage>;

function timestamp(atMs: TimeMs): { seconds: number; nanos: number } {
  const whole = Math.round(atMs);
  return { seconds: Math.floor(whole / 1_000), nanos: (whole % 1_000) * 1_000_000 };
}
