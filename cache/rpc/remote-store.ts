import { createHash, randomUUID } from 'node:crypto';
import { Fault, isFault } from '../../base/fault.ts';
import { digestFromProto, digestToProto } from '../../proto/convert.ts';
import { callClientStream, callServerStream, callUnary, type CallerOptions } from '../../proto/dial.ts';
import type { WriteRequest } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { faultFromRpcStatus } from '../../proto/status.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';
import { EMPTY_DIGEST, digestOf, hashOf, sizeOf, type Digest } from '../digest.ts';
import { Batcher } from './batcher.ts';
import type { DataPlaneClients, ShownMetadata } from './client.ts';
import { readName, writeName } from './resource-name.ts';
import type { Retrier } from './retry.ts';
import { STAGED_METADATA } from './staging-service.ts';

/** Blobs up to this size travel in batches, larger ones in streams of their own. */
const BATCHED_BYTES = 256 * 1024;
/** Below the server's 4 MiB with room for digests and framing, which count 100 bytes a blob here. */
const BATCH = { bytes: 3 * 1024 * 1024, count: 4_000, inFlight: 4 };
const BATCH_OVERHEAD_BYTES = 100;
const ASKED_AT_ONCE = 10_000;
const PIECE_BYTES = 1024 * 1024;
/** Longest single call that is no stream. */
const UNARY_DEADLINE_MS = 60_000;

export type RemoteStoreOptions = {
  /** Looked into for each try. */
  readonly clients: DataPlaneClients;
  readonly instanceName: string;
  readonly metadata: ShownMetadata;
  /** Hears that some of what was stored, or was found there, is staged only. @default nobody listens */
  readonly onStaged?: (() => void) | undefined;
  readonly retrier: Retrier;
  readonly closing: AbortSignal;
  /** Longest wait for the server within a stream. */
  readonly idleMs: number;
};

/** The data plane's blobs under one instance name. Calls that a passing fault of the connection broke are made again. */
export function remoteStore(options: RemoteStoreOptions): BlobStore {
  const { clients, instanceName, metadata, retrier, closing } = options;
  const updates = new Batcher<{ digest: Digest; bytes: Uint8Array }, void>(BATCH, (items) => batchUpdate(items));
  const reads = new Batcher<Digest, Uint8Array>(BATCH, (digests) => batchRead(digests));
  const unaryOptions = (signal = closing) => ({ signal, deadlineMs: UNARY_DEADLINE_MS, metadata: metadata(), ...hearing(options) });

  async function batchUpdate(items: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<PromiseSettledResult<void>[]> {
    const requests = items.map(({ digest, bytes }) => ({ digest: digestToProto(digest), data: bytes }));
    const answer = await retrier.retrying(
      () => callUnary(clients.cas, 'batchUpdateBlobs', { instanceName, requests }, unaryOptions()),
      closing,
    );
    const byHash = new Map(answer.responses.map((response) => [response.digest?.hash, response]));
    return items.map(({ digest }) => {
      const response = byHash.get(hashOf(digest));
      const fault = response === undefined ? unanswered(digest) : faultFromRpcStatus(response.status);
      return fault === undefined ? { status: 'fulfilled', value: undefined } : { status: 'rejected', reason: fault };
    });
  }

  async function batchRead(digests: readonly Digest[]): Promise<PromiseSettledResult<Uint8Array>[]> {
    const request = { instanceName, digests: digests.map(digestToProto) };
    const answer = await retrier.retrying(() => callUnary(clients.cas, 'batchReadBlobs', request, unaryOptions()), closing);
    const byHash = new Map(answer.responses.map((response) => [response.digest?.hash, response]));
    return digests.map((digest) => {
      const response = byHash.get(hashOf(digest));
      if (response === undefined) return { status: 'rejected', reason: unanswered(digest) };
      const fault = faultFromRpcStatus(response.status) ?? (digestOf(response.data) === digest ? undefined : corrupt(digest));
      return fault === undefined ? { status: 'fulfilled', value: response.data } : { status: 'rejected', reason: fault };
    });
  }

  return {
    traits: { durability: 'process', shared: true },
    async *get(digest, range, signal) {
      signal.throwIfAborted();
      checkRange(digest, range);
      if (digest === EMPTY_DIGEST) return;
      const either = AbortSignal.any([signal, closing]);
      if (sizeOf(digest) > BATCHED_BYTES) yield* readStream(options, digest, range, either);
      else {
        const bytes = await reads.add(digest, digest, sizeOf(digest) + BATCH_OVERHEAD_BYTES, either);
        yield range === undefined
          ? bytes
          : bytes.subarray(range.offset, range.length === undefined ? undefined : range.offset + range.length);
      }
    },
    async put(digest, source, signal) {
      signal.throwIfAborted();
      const either = AbortSignal.any([signal, closing]);
      if (sizeOf(digest) > BATCHED_BYTES) return writeStream(options, digest, source, either);
      const bytes = source instanceof Uint8Array ? source : await collect(digest, source);
      if (digestOf(bytes) !== digest) throw new Fault('DIGEST_MISMATCH', `Blob ${digest}: the bytes have the digest ${digestOf(bytes)}`);
      if (digest === EMPTY_DIGEST) return;
      await updates.add(digest, { digest, bytes }, bytes.byteLength + BATCH_OVERHEAD_BYTES, either);
    },
    async findMissing(digests, signal) {
      const either = AbortSignal.any([signal, closing]);
      const unique = [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST);
      const missing: Digest[] = [];
      for (let start = 0; start < unique.length; start += ASKED_AT_ONCE) {
        const request = { instanceName, blobDigests: unique.slice(start, start + ASKED_AT_ONCE).map(digestToProto) };
        const answer = await retrier.retrying(() => callUnary(clients.cas, 'findMissingBlobs', request, unaryOptions(either)), either);
        for (const [index, message] of answer.missingBlobDigests.entries())
          missing.push(digestFromProto(message, `missing_blob_digests[${index}]`));
      }
      return missing;
    },
  };
}

function hearing({ onStaged }: Pick<RemoteStoreOptions, 'onStaged'>): Pick<CallerOptions, 'onMetadata'> {
  return onStaged === undefined ? {} : { onMetadata: (told) => told.get(STAGED_METADATA).length > 0 && onStaged() };
}

function checkRange(digest: Digest, range: ByteRange | undefined): void {
  if (range === undefined || (range.offset >= 0 && range.offset <= sizeOf(digest) && (range.length ?? 0) >= 0)) return;
  throw new Fault('OUT_OF_RANGE', `Blob ${digest}: there is nothing at offset ${range.offset}`);
}

function corrupt(digest: Digest): Fault {
  return new Fault('BLOB_CORRUPT', `Blob ${digest}: other bytes came than its own`);
}

function unanswered(digest: Digest): Fault {
  return new Fault('INTERNAL', `Blob ${digest}: the server left it out of its answer`);
}

async function collect(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.byteLength;
    if (length > sizeOf(digest)) throw new Fault('DIGEST_MISMATCH', `Blob ${digest}: more bytes came than it has`);
    chunks.push(Uint8Array.from(chunk));
  }
  return Buffer.concat(chunks);
}

/** Reads by ByteStream; goes on where it was when the connection breaks; checks the digest of what is read as a whole. */
async function* readStream(
  { clients, instanceName, metadata, retrier, idleMs }: RemoteStoreOptions,
  digest: Digest,
  range: ByteRange | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = range?.offset ?? 0;
  const want = Math.min(sizeOf(digest) - start, range?.length ?? Number.POSITIVE_INFINITY);
  const sum = want === sizeOf(digest) ? createHash('sha256') : undefined;
  const tries = retrier.tries();
  let done = 0;
  while (done < want) {
    const request = { resourceName: readName(instanceName, digest), readOffset: start + done, readLimit: want - done };
    let end = (_error?: unknown): void => {};
    try {
      end = tries.begin();
      for await (const { data } of callServerStream(clients.bytes, 'read', request, { signal, idleMs, metadata: metadata() })) {
        if (done + data.byteLength > want) throw corrupt(digest);
        sum?.update(data);
        done += data.byteLength;
        tries.progress();
        if (done === want && sum !== undefined && sum.digest('hex') !== hashOf(digest)) throw corrupt(digest);
        end(); // it answers: how long the reader takes with it is not its fault
        yield data;
      }
      if (done < want) throw new Fault('PEER_UNAVAILABLE', `Blob ${digest}: the server sent ${done} of ${want} bytes`);
    } catch (error) {
      end(error);
      await tries.failed(error, signal);
    } finally {
      end(new Fault('CANCELLED', 'The reader left'));
    }
  }
}

/** Writes by ByteStream. Where the source can be read again and the connection breaks, it goes on where the server is. */
async function writeStream(
  { clients, instanceName, metadata, retrier, idleMs, ...heard }: RemoteStoreOptions,
  digest: Digest,
  source: AsyncIterable<Uint8Array> | Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const resourceName = writeName(instanceName, digest, randomUUID());
  const tries = retrier.tries();
  let offset = 0;
  for (;;) {
    const end = await tries.admitted(signal); // before the source is touched: one that can be read but once must not be spent
    const reader = source instanceof Uint8Array ? slices(source) : source[Symbol.asyncIterator]();
    const again = !Object.is(reader, source); // a generator is its own iterator, and spent once it was read
    const sent: { error?: unknown } = {};
    try {
      const requests = writeRequests(resourceName, digest, reader, offset, sent);
      await callClientStream(clients.bytes, 'write', requests, { signal, idleMs, metadata: metadata(), ...hearing(heard) });
      end();
      return;
    } catch (error) {
      end('error' in sent ? new Fault('CANCELLED', 'The source failed') : error);
      if ('error' in sent) throw sent.error;
      if (!again) throw error;
      await tries.failed(error, signal);
      const before = offset;
      offset = await writtenSoFar(clients, resourceName, metadata, signal);
      if (offset > before) tries.progress();
    }
  }
}

async function writtenSoFar(
  clients: DataPlaneClients,
  resourceName: string,
  metadata: ShownMetadata,
  signal: AbortSignal,
): Promise<number> {
  try {
    const answer = await callUnary(
      clients.bytes,
      'queryWriteStatus',
      { resourceName },
      { signal, deadlineMs: UNARY_DEADLINE_MS, metadata: metadata() },
    );
    return Number(answer.committedSize);
  } catch (error) {
    if (isFault(error, 'CANCELLED')) throw error;
    return 0; // then from the beginning: the next attempt shows whether the server is back
  }
}

/** The messages of a write from `offset` on. What the source itself throws is kept in `sent`, to be told from the server's faults. */
async function* writeRequests(
  resourceName: string,
  digest: Digest,
  source: AsyncIterator<Uint8Array>,
  offset: number,
  sent: { error?: unknown },
): AsyncGenerator<WriteRequest, void, undefined> {
  let at = 0;
  let first = true;
  try {
    for (;;) {
      const next = await source.next();
      const chunk = next.done === true ? new Uint8Array(0) : next.value;
      if (at + chunk.byteLength > sizeOf(digest)) throw new Fault('DIGEST_MISMATCH', `Blob ${digest}: more bytes came than it has`);
      const skip = Math.max(0, Math.min(offset - at, chunk.byteLength));
      for (let start = skip; start < chunk.byteLength; start += PIECE_BYTES) {
        const data = chunk.subarray(start, start + PIECE_BYTES);
        yield { ...(first ? { resourceName } : {}), writeOffset: at + start, data, finishWrite: false };
        first = false;
      }
      at += chunk.byteLength;
      if (next.done === true) {
        if (at !== sizeOf(digest)) throw new Fault('DIGEST_MISMATCH', `Blob ${digest}: only ${at} bytes came`);
        yield { ...(first ? { resourceName } : {}), writeOffset: at, finishWrite: true };
        return;
      }
    }
  } catch (error) {
    sent.error = error;
    throw error;
  } finally {
    await source.return?.();
  }
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
