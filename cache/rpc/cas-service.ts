import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault, wrap, isFault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import type { BatchReadBlobsResponse } from '../../proto/gen/build/bazel/remote/execution/v2/BatchReadBlobsResponse.ts';
import type { BatchUpdateBlobsRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/BatchUpdateBlobsRequest.ts';
import type { BatchUpdateBlobsResponse } from '../../proto/gen/build/bazel/remote/execution/v2/BatchUpdateBlobsResponse.ts';
import type { ContentAddressableStorageHandlers } from '../../proto/gen/build/bazel/remote/execution/v2/ContentAddressableStorage.ts';
import { serverStream, unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import { faultToRpcStatus } from '../../proto/status.ts';
import type { BlobStore } from '../blob-store.ts';
import { ByteBudget, forEachWithin } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { decompressZstdSync } from '../zstd.ts';
import { accessOf, requireUploads } from './access.ts';
import { BATCH_READ, FIND_MISSING, readDigestRequest, type DigestRequest } from './digest-request.ts';
import { getTree } from './get-tree.ts';
import { BATCH_BYTES_MAX, BATCH_COUNT_MAX, BLOB_OVERHEAD_BYTES, CLIENT_MESSAGE_BYTES, DIGESTS_MAX, IN_FLIGHT_BYTES } from './limits.ts';
import { checkDigestFunction, type DataPlaneParts } from './service.ts';
import { spliceBlob, splitBlob } from './split-splice.ts';
import { tellStaged } from './staging-service.ts';

const OK = { code: 0, message: '', details: [] };

type Handlers = Omit<ContentAddressableStorageHandlers, 'FindMissingBlobs' | 'BatchReadBlobs'>;

/** ContentAddressableStorage of the Remote Execution API. */
export function casService(parts: DataPlaneParts): ServedService {
  const { env } = parts;
  const budget = new ByteBudget(IN_FLIGHT_BYTES);
  const { service } = loadProto().build.bazel.remote.execution.v2.ContentAddressableStorage;
  const handlers: Handlers = {
    BatchUpdateBlobs: unary(env, 'BatchUpdateBlobs', (request, call) => batchUpdate(parts, budget, request, call)),
    GetTree: serverStream(env, 'GetTree', (request, call) => getTree(parts, request, call)),
    SplitBlob: unary(env, 'SplitBlob', (request, call) => splitBlob(parts, request, call)),
    SpliceBlob: unary(env, 'SpliceBlob', (request, call) => spliceBlob(parts, request, call)),
  };
  const ofDigests = {
    FindMissingBlobs: unary(env, 'FindMissingBlobs', (request: DigestRequest, call) => findMissing(parts, request, call)),
    BatchReadBlobs: unary(env, 'BatchReadBlobs', (request: DigestRequest, call) => batchRead(parts, budget, request, call)),
  };
  const { FindMissingBlobs, BatchReadBlobs } = service;
  const definition = {
    ...service,
    FindMissingBlobs: { ...FindMissingBlobs, requestDeserialize: (bytes: Buffer) => readDigestRequest(bytes, FIND_MISSING) },
    BatchReadBlobs: { ...BatchReadBlobs, requestDeserialize: (bytes: Buffer) => readDigestRequest(bytes, BATCH_READ) },
  };
  return { definition, handlers: { ...handlers, ...ofDigests } };
}

/** Blobs of a batch that are stored or read at once: each may hold a file open. */
const BATCH_AT_ONCE = 512;
/** Most that the words of one failure take. Where an answer has no more room for them, the code says it alone. */
const WORDS_BYTES = 1_024;
/** Blobs read before other work of the process gets its turn. */
const TURN_BLOBS = 64;

async function findMissing(parts: DataPlaneParts, request: DigestRequest, call: Call) {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  if (request.count > DIGESTS_MAX) {
    throw new Fault('BAD_REQUEST', `blob_digests has ${request.count} entries; ask for at most ${DIGESTS_MAX} at once`, {
      field: 'blob_digests',
    });
  }
  const digests = request.digests();
  const missing = await parts.storeOf(access.view).findMissing(digests, call.signal);
  await tellStaged(parts, access, digests, call);
  return { missingBlobDigests: missing.map(digestToProto) };
}

async function batchUpdate(parts: DataPlaneParts, budget: ByteBudget, request: BatchUpdateBlobsRequest__Output, call: Call) {
  const access = accessOf(parts, request.instanceName, call);
  requireUploads(access);
  checkDigestFunction(request.digestFunction);
  const store = parts.storeOf(access.view);
  const blobs = request.requests.map((one, index) => ({ ...one, digest: digestFromProto(one.digest, `requests[${index}].digest`) }));
  const bytes = checkTotal(blobs.map(({ digest }) => digest));
  using _ = await budget.take(bytes, call.signal);
  const responses: NonNullable<BatchUpdateBlobsResponse['responses']> = blobs.map(({ digest }) => ({
    digest: digestToProto(digest),
    status: OK,
  }));
  let room = roomIn(blobs.length);
  // Side by side: a store may make many of them durable at once.
  const putOne = async ({ digest, data, compressor }: (typeof blobs)[number], index: number, signal: AbortSignal) => {
    const status = await statusOf(async () => await store.put(digest, plainBytes(digest, data, compressor), signal));
    if (status === undefined) return;
    const told = said(status, room);
    responses[index] = { digest: digestToProto(digest), status: told };
    if (told.message !== '') room -= WORDS_BYTES;
  };
  await forEachWithin(
    blobs.entries(),
    BATCH_AT_ONCE,
    () => 1,
    ([index, blob], signal) => putOne(blob, index, signal),
    call.signal,
  );
  await tellStaged(
    parts,
    access,
    blobs.map(({ digest }) => digest),
    call,
  );
  return { responses };
}

function plainBytes(
  digest: Digest,
  data: Buffer,
  compressor: BatchUpdateBlobsRequest__Output['requests'][number]['compressor'],
): Uint8Array {
  if (compressor === 'IDENTITY') return data;
  if (compressor !== 'ZSTD') throw new Fault('UNIMPLEMENTED', `Compressor ${compressor} is not offered: use ZSTD or IDENTITY`);
  return decompressZstdSync(data, sizeOf(digest) + 1);
}

async function batchRead(parts: DataPlaneParts, budget: ByteBudget, request: DigestRequest, call: Call) {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  const digests = request.digests();
  const bytes = checkTotal([...new Set(digests)], request.count);
  using _ = await budget.take(bytes, call.signal);
  return { responses: await readBlobs(parts.storeOf(access.view), digests, call.signal) };
}

/** Each digest as often as it was asked for, as long as the message stays one that every client takes. */
async function readBlobs(
  store: BlobStore,
  digests: readonly Digest[],
  signal: AbortSignal,
): Promise<NonNullable<BatchReadBlobsResponse['responses']>> {
  const found = await readAll(store, digests, signal);
  const responses: NonNullable<BatchReadBlobsResponse['responses']> = [];
  let room = roomIn(digests.length);
  for (const digest of digests) {
    let data: Uint8Array = new Uint8Array(0);
    const status = await statusOf(async () => {
      const bytes = found.get(digest) ?? data;
      if (!(bytes instanceof Uint8Array)) throw bytes.error;
      if (bytes.byteLength > room) throw new Fault('LIMIT_EXCEEDED', `No room in this answer: ask for ${digest} in another call`);
      data = bytes;
    });
    const told = said(status, room);
    responses.push({ digest: digestToProto(digest), data, status: told, compressor: 'IDENTITY' });
    room -= data.byteLength + (told.message === '' ? 0 : WORDS_BYTES);
    if (responses.length % BATCH_AT_ONCE === 0) await nextTurn();
  }
  return responses;
}

/** Each blob once, or why it cannot be read. What is at hand is taken without a promise or stream for each. */
async function readAll(
  store: BlobStore,
  digests: readonly Digest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Digest, Uint8Array | { readonly error: unknown }>> {
  const found = new Map<Digest, Uint8Array | { readonly error: unknown }>();
  const rest: Digest[] = [];
  for (const [index, digest] of [...new Set(digests)].entries()) {
    if (index > 0 && index % TURN_BLOBS === 0) await nextTurn(undefined, { signal });
    try {
      const bytes = store.atHand?.(digest);
      if (bytes === undefined) rest.push(digest);
      else found.set(digest, bytes);
    } catch (error) {
      found.set(digest, { error });
    }
  }
  if (rest.length === 0) return found;
  const read = blobReader(store, BATCH_BYTES_MAX);
  const readOne = async (digest: Digest, either: AbortSignal) => {
    found.set(digest, await read(digest, either).catch((error: unknown) => ({ error })));
  };
  await forEachWithin(rest, BATCH_AT_ONCE, () => 1, readOne, signal);
  return found;
}

/** Bytes of all digests. @throws {Fault} BAD_REQUEST where a batch may not have as many. */
function checkTotal(digests: readonly Digest[], count = digests.length): number {
  if (count > BATCH_COUNT_MAX)
    throw new Fault('BAD_REQUEST', `The batch has ${count} blobs; at most ${BATCH_COUNT_MAX} go into one`, {
      hint: 'Make several batches.',
    });
  const bytes = digests.reduce((sum, digest) => sum + sizeOf(digest), 0);
  if (bytes <= BATCH_BYTES_MAX) return bytes;
  throw new Fault(
    'BAD_REQUEST',
    `The blobs have ${bytes} bytes together; a batch may have ${BATCH_BYTES_MAX} (max_batch_total_size_bytes)`,
    {
      hint: 'Make several batches, and use ByteStream for large blobs.',
    },
  );
}

type RpcStatus = ReturnType<typeof faultToRpcStatus>;

/** Bytes that an answer about so many blobs may have beside their names. */
function roomIn(blobs: number): number {
  return CLIENT_MESSAGE_BYTES - blobs * BLOB_OVERHEAD_BYTES;
}

/** How one blob's part of a batch went, in words where there is room for them. */
function said(status: RpcStatus | undefined, room: number): RpcStatus {
  if (status === undefined) return OK;
  return room >= WORDS_BYTES ? status : { code: status.code, message: '', details: [] };
}

/** The status of one blob's part of a batch, undefined where it went well. What is no fault of ours to tell fails the call. */
async function statusOf(work: () => Promise<void>): Promise<RpcStatus | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isFault(error)) throw error;
    if (error.code === 'CANCELLED' || error.code === 'INTERNAL') throw wrap(error, 'Batch');
    return faultToRpcStatus(error);
  }
}
