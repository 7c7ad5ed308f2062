import type { handleUnaryCall } from '@grpc/grpc-js';
import { Fault } from '../../base/fault.ts';
import { digestFromProto, digestToProto, optionalDigestFromProto } from '../../proto/convert.ts';
import type { ActionCacheHandlers } from '../../proto/gen/build/bazel/remote/execution/v2/ActionCache.ts';
import type { ActionResult, ActionResult__Output } from '../../proto/gen/build/bazel/remote/execution/v2/ActionResult.ts';
import type { UpdateActionResultRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/UpdateActionResultRequest.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { Writer } from '../action-cache/action-cache.ts';
import { referencesOf } from '../action/references.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf, type Digest } from '../digest.ts';
import { accessOf, type Access } from './access.ts';
import { readResultRequest, type ResultRequest } from './digest-request.ts';
import { inlined } from './inline.ts';
import { CLIENT_MESSAGE_BYTES } from './limits.ts';
import { checkDigestFunction, type DataPlaneParts } from './service.ts';

/** ActionCache of the Remote Execution API. */
export function actionCacheService(parts: DataPlaneParts): ServedService {
  const { service } = loadProto().build.bazel.remote.execution.v2.ActionCache;
  const handlers: Pick<ActionCacheHandlers, 'UpdateActionResult'> & { GetActionResult: GetActionResult } = {
    GetActionResult: unary(parts.env, 'GetActionResult', (request: ResultRequest, call) => getResult(parts, request, call)),
    UpdateActionResult: unary(parts.env, 'UpdateActionResult', (request, call) => updateResult(parts, request, call)),
  };
  const responseSerialize = (result: ActionResult | Buffer): Buffer =>
    Buffer.isBuffer(result) ? result : service.GetActionResult.responseSerialize(result);
  const GetActionResult = { ...service.GetActionResult, requestDeserialize: readResultRequest, responseSerialize };
  return { definition: { ...service, GetActionResult }, handlers };
}

/** Answers in wire form where nothing is put into the result. */
type GetActionResult = handleUnaryCall<ResultRequest, ActionResult | Buffer>;

async function getResult(parts: DataPlaneParts, request: ResultRequest, call: Call): Promise<ActionResult | Buffer> {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  const action = request.action();
  for (const scope of access.view.reads) {
    const entry = await parts.actionCache.get({ project: access.view.project, scope, action }, call.signal);
    // What goes into builds of ours must come from agents of ours: a client only says that it ran something.
    if (entry === undefined || (access.identity.kind === 'service' && entry.writer.kind !== 'executor')) continue;
    if (access.identity.kind !== 'service' && entry.result.byteLength > CLIENT_MESSAGE_BYTES) continue;
    const bytes = Buffer.from(entry.result.buffer, entry.result.byteOffset, entry.result.byteLength);
    if (request.inline === undefined) return bytes;
    const result = loadProto().build.bazel.remote.execution.v2.ActionResult.deserialize(bytes);
    return inlined(result, request.inline, entry.result.byteLength, parts.storeOf(access.view), call.signal);
  }
  throw new Fault('ACTION_UNKNOWN', `No complete result of ${action} in ${access.view.reads.join(', ')}`);
}

async function updateResult(parts: DataPlaneParts, request: UpdateActionResultRequest__Output, call: Call): Promise<ActionResult> {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  const action = digestFromProto(request.actionDigest, 'action_digest');
  if (access.results === undefined) throw mayNotWrite(access);
  if (request.actionResult === null) throw new Fault('BAD_REQUEST', 'action_result is missing', { field: 'action_result' });
  const writer = writerOf(access);
  const result = await outlined(request.actionResult, parts.storeOf(access.view), call.signal);
  const named: ActionResult = {
    ...result,
    executionMetadata: { ...result.executionMetadata, worker: result.executionMetadata?.worker || writer.name },
  };
  const codec = loadProto().build.bazel.remote.execution.v2.ActionResult;
  const bytes = codec.serialize(named);
  referencesOf(bytes); // refuses malformed digests, naming the field
  const key = { project: access.view.project, scope: access.results, action };
  const kept = await parts.actionCache.put(key, { result: bytes, writer, writtenAt: parts.env.clock.now() }, call.signal);
  return codec.deserialize(Buffer.from(kept.result));
}

/** The result with bytes that the caller put into it moved to the store. */
async function outlined(result: ActionResult__Output, store: BlobStore, signal: AbortSignal): Promise<ActionResult> {
  const move = async (bytes: Buffer, digest: Digest | undefined): Promise<{ hash: string; sizeBytes: string } | undefined> => {
    if (bytes.byteLength === 0) return digest === undefined ? undefined : digestToProto(digest);
    const own = digestOf(bytes);
    if (digest !== undefined && digest !== own)
      throw new Fault('DIGEST_MISMATCH', `Bytes in the result have the digest ${own}, not ${digest}`);
    await store.put(own, bytes, signal);
    return digestToProto(own);
  };
  const stdoutDigest = await move(result.stdoutRaw, optionalDigestFromProto(result.stdoutDigest, 'action_result.stdout_digest'));
  const stderrDigest = await move(result.stderrRaw, optionalDigestFromProto(result.stderrDigest, 'action_result.stderr_digest'));
  const outputFiles: ActionResult['outputFiles'] = [];
  for (const [index, { contents, ...file }] of result.outputFiles.entries()) {
    const digest = await move(contents, optionalDigestFromProto(file.digest, `action_result.output_files[${index}].digest`));
    outputFiles.push({ ...file, digest: digest ?? null });
  }
  const { stdoutRaw: _out, stderrRaw: _err, ...rest } = result;
  return { ...rest, outputFiles, stdoutDigest: stdoutDigest ?? null, stderrDigest: stderrDigest ?? null };
}

function writerOf({ identity }: Access): Writer {
  if (identity.kind === 'service') return { kind: 'executor', name: identity.name };
  return { kind: 'client', name: identity.kind === 'caller' ? identity.caller.name : identity.name };
}

function mayNotWrite({ identity }: Access): Fault {
  const who =
    identity.kind === 'agent'
      ? 'Agents store no results: the coordinator does'
      : 'Your credential stores results in its own scope only, from the role submitter on';
  return new Fault('FORBIDDEN', who);
}
