import { Fault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import type { SpliceBlobRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/SpliceBlobRequest.ts';
import type { SpliceBlobResponse } from '../../proto/gen/build/bazel/remote/execution/v2/SpliceBlobResponse.ts';
import type { SplitBlobRequest__Output } from '../../proto/gen/build/bazel/remote/execution/v2/SplitBlobRequest.ts';
import type { SplitBlobResponse } from '../../proto/gen/build/bazel/remote/execution/v2/SplitBlobResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf, sizeOf, type Digest } from '../digest.ts';
import { contentPieces, type ChunkSizes } from '../packs/chunker.ts';
import { accessOf, requireUploads } from './access.ts';
import { DIGESTS_MAX } from './limits.ts';
import { checkDigestFunction, type DataPlaneParts } from './service.ts';

/** Large enough that a list of a blob's chunks is small beside it, small enough that a change leaves most of them. */
const CHUNKS: ChunkSizes = { minBytes: 128 * 1024, avgBytes: 512 * 1024, maxBytes: 2 * 1024 * 1024 };

/**
 * Cuts a stored blob by its content, so that most chunks of two versions are the same, and stores the chunks. The cuts are our own: a
 * client that wants those of a function of the protocol must say so, and is told that there is none.
 */
export async function splitBlob(parts: DataPlaneParts, request: SplitBlobRequest__Output, call: Call): Promise<SplitBlobResponse> {
  const access = accessOf(parts, request.instanceName, call);
  checkDigestFunction(request.digestFunction);
  if (request.chunkingFunction !== 'UNKNOWN') {
    throw new Fault('BAD_REQUEST', `Chunking function ${request.chunkingFunction} is not offered: leave it UNKNOWN`, {
      field: 'chunking_function',
    });
  }
  const digest = digestFromProto(request.blobDigest, 'blob_digest');
  const store = parts.storeOf(access.view);
  const missing = await store.findMissing([digest], call.signal);
  if (missing.length > 0) throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
  if (sizeOf(digest) <= CHUNKS.maxBytes) return { chunkDigests: [digestToProto(digest)] };
  requireUploads(access);
  const chunks: Digest[] = [];
  for await (const piece of contentPieces(store.get(digest, undefined, call.signal), CHUNKS)) {
    const chunk = digestOf(piece);
    if (chunks.length === DIGESTS_MAX) throw new Fault('TOO_LARGE', `Blob ${digest} would have more than ${DIGESTS_MAX} chunks`);
    await store.put(chunk, piece, call.signal);
    chunks.push(chunk);
  }
  return { chunkDigests: chunks.map(digestToProto) };
}

/** Stores the blob that stored chunks make, one after the other; however they were cut. */
export async function spliceBlob(parts: DataPlaneParts, request: SpliceBlobRequest__Output, call: Call): Promise<SpliceBlobResponse> {
  const access = accessOf(parts, request.instanceName, call);
  requireUploads(access);
  checkDigestFunction(request.digestFunction);
  const digest = digestFromProto(request.blobDigest, 'blob_digest');
  const chunks = request.chunkDigests.map((chunk, index) => digestFromProto(chunk, `chunk_digests[${index}]`));
  if (chunks.length > DIGESTS_MAX) {
    throw new Fault('BAD_REQUEST', `chunk_digests has ${chunks.length} entries; at most ${DIGESTS_MAX} are put together`, {
      field: 'chunk_digests',
    });
  }
  const bytes = chunks.reduce((sum, chunk) => sum + sizeOf(chunk), 0);
  if (bytes !== sizeOf(digest)) {
    throw new Fault('DIGEST_MISMATCH', `The chunks have ${bytes} bytes together, the blob ${sizeOf(digest)}`, { field: 'chunk_digests' });
  }
  const store = parts.storeOf(access.view);
  const missing = await store.findMissing([...new Set(chunks)], call.signal);
  if (missing[0] !== undefined) {
    throw new Fault('BLOB_UNKNOWN', `${missing.length} of the chunks are not in the store, such as ${missing[0]}`, {
      hint: 'Store them first.',
    });
  }
  await store.put(digest, { [Symbol.asyncIterator]: () => joined(store, chunks, call.signal) }, call.signal);
  return { blobDigest: digestToProto(digest) };
}

async function* joined(store: BlobStore, chunks: readonly Digest[], signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield* store.get(chunk, undefined, signal);
}
