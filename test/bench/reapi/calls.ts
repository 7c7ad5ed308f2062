import { randomBytes, randomUUID } from 'node:crypto';
import { digestOf, hashOf, sizeOf, type Digest } from '../../../cache/digest.ts';
import { digestToProto } from '../../../proto/convert.ts';
import { loadProto } from '../../../proto/load.ts';
import { grpcFrame, type GrpcLoad } from './grpc-load.ts';

/** What a call moves. */
export type Prepared = {
  /** Calls, to be made once each in any order. */
  readonly calls: readonly (() => Promise<unknown>)[];
  /** Bytes of blobs in all of them; 0 where bytes are not the point. */
  readonly bytes: number;
};

/** A kind of call: makes ready `count` of them against a server, storing what they need to find there. */
export type CallKind = {
  readonly name: string;
  readonly about: string;
  /** Calls under way at once, calls in a round, and bytes of each blob. */
  readonly loads: readonly { readonly concurrency: number; readonly count: number; readonly blobBytes: number }[];
  /** Calls that are made before anything is measured. */
  readonly warmUpCalls: number;
  prepare(load: GrpcLoad, count: number, blobBytes: number): Promise<Prepared>;
};

const SMALL_BYTES = 4 * 1024;
const SMALL_A_CALL = 10;
const ASKED_A_CALL = 100;
const MIB = 1024 * 1024;
/** Bytes in each message of a write; what Bazel sends is 16 KiB to 1 MiB. */
const PIECE_BYTES = 256 * 1024;

const SMALL_LOADS = [
  { concurrency: 1, count: 300, blobBytes: SMALL_BYTES },
  { concurrency: 64, count: 2_000, blobBytes: SMALL_BYTES },
  { concurrency: 512, count: 4_000, blobBytes: SMALL_BYTES },
];
const SMALL_WARM_UP_CALLS = 10_000;
const LARGE_LOADS = [
  { concurrency: 1, count: 8, blobBytes: 32 * MIB },
  { concurrency: 64, count: 128, blobBytes: 2 * MIB },
  { concurrency: 512, count: 512, blobBytes: MIB / 2 },
];

type Blob = { readonly digest: Digest; readonly bytes: Buffer };

function freshBlobs(count: number, bytes: number): readonly Blob[] {
  return Array.from({ length: count }, () => {
    const content = randomBytes(bytes);
    return { digest: digestOf(content), bytes: content };
  });
}

type Method = { readonly path: string; readonly requestSerialize: (request: object) => Buffer };

/** The methods by name, from the same definitions that servers and clients use. */
function methods() {
  const { ContentAddressableStorage: cas, ActionCache: actions } = loadProto().build.bazel.remote.execution.v2;
  const { ByteStream: bytes } = loadProto().google.bytestream;
  return {
    find: cas.service.FindMissingBlobs,
    update: cas.service.BatchUpdateBlobs,
    batchRead: cas.service.BatchReadBlobs,
    read: bytes.service.Read,
    write: bytes.service.Write,
    getResult: actions.service.GetActionResult,
    putResult: actions.service.UpdateActionResult,
  } as unknown as Record<'find' | 'update' | 'batchRead' | 'read' | 'write' | 'getResult' | 'putResult', Method>; // requests of each kind
}

const frameOf = (method: Method, request: object): Buffer => grpcFrame(method.requestSerialize(request));

const updateFrame = (blobs: readonly Blob[]): Buffer =>
  frameOf(methods().update, { requests: blobs.map(({ digest, bytes }) => ({ digest: digestToProto(digest), data: bytes })) });

/** Stores small blobs that later calls read. */
async function stored(load: GrpcLoad, count: number): Promise<readonly Blob[]> {
  const blobs = freshBlobs(count, SMALL_BYTES);
  await load.unary(methods().update.path, updateFrame(blobs));
  return blobs;
}

function* piecesOf({ digest, bytes }: Blob): Generator<Buffer> {
  const { write } = methods();
  const resourceName = `uploads/${randomUUID()}/blobs/${hashOf(digest)}/${sizeOf(digest)}`;
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
    const data = bytes.subarray(at, at + PIECE_BYTES);
    yield frameOf(write, { resourceName, writeOffset: at, finishWrite: at + data.byteLength === bytes.byteLength, data });
  }
}

async function written(load: GrpcLoad, blob: Blob): Promise<void> {
  await load.write(methods().write.path, piecesOf(blob));
}

const times = (count: number, call: () => Promise<unknown>): Prepared['calls'] => Array.from({ length: count }, () => call);

export const CALL_KINDS: readonly CallKind[] = [
  {
    name: 'find-missing',
    about: `FindMissingBlobs, ${ASKED_A_CALL} digests, all there`,
    loads: SMALL_LOADS,
    warmUpCalls: SMALL_WARM_UP_CALLS,
    async prepare(load, count) {
      const blobs = await stored(load, ASKED_A_CALL);
      const { find } = methods();
      const frame = frameOf(find, { blobDigests: blobs.map(({ digest }) => digestToProto(digest)) });
      return { calls: times(count, () => load.unary(find.path, frame)), bytes: 0 };
    },
  },
  {
    name: 'batch-update',
    about: `BatchUpdateBlobs, ${SMALL_A_CALL} new blobs of 4 KiB`,
    loads: SMALL_LOADS,
    warmUpCalls: 2_000,
    async prepare(load, count) {
      const frames = Array.from({ length: count }, () => updateFrame(freshBlobs(SMALL_A_CALL, SMALL_BYTES)));
      return { calls: frames.map((frame) => () => load.unary(methods().update.path, frame)), bytes: 0 };
    },
  },
  {
    name: 'batch-read',
    about: `BatchReadBlobs, ${SMALL_A_CALL} blobs of 4 KiB`,
    loads: SMALL_LOADS,
    warmUpCalls: SMALL_WARM_UP_CALLS,
    async prepare(load, count) {
      const blobs = await stored(load, SMALL_A_CALL);
      const { batchRead } = methods();
      const frame = frameOf(batchRead, { digests: blobs.map(({ digest }) => digestToProto(digest)) });
      return { calls: times(count, () => load.unary(batchRead.path, frame)), bytes: 0 };
    },
  },
  {
    name: 'action',
    about: 'GetActionResult, five output files, a hit',
    loads: SMALL_LOADS,
    warmUpCalls: SMALL_WARM_UP_CALLS,
    async prepare(load, count) {
      const blobs = await stored(load, 6);
      const { getResult, putResult } = methods();
      const outputFiles = blobs.slice(1).map(({ digest }, index) => ({ path: `out/file-${index}`, digest: digestToProto(digest) }));
      const actionDigest = digestToProto(blobs[0]?.digest ?? digestOf(Buffer.alloc(0)));
      await load.unary(putResult.path, frameOf(putResult, { actionDigest, actionResult: { outputFiles, exitCode: 0 } }));
      const frame = frameOf(getResult, { actionDigest });
      return { calls: times(count, () => load.unary(getResult.path, frame)), bytes: 0 };
    },
  },
  {
    name: 'read',
    about: 'ByteStream.Read of one blob',
    loads: LARGE_LOADS,
    warmUpCalls: 0,
    async prepare(load, count, blobBytes) {
      const blob = freshBlobs(1, blobBytes)[0];
      if (blob === undefined) throw new Error('no blob was made');
      await written(load, blob);
      const { read } = methods();
      const frame = frameOf(read, { resourceName: `blobs/${hashOf(blob.digest)}/${sizeOf(blob.digest)}` });
      const call = async () => {
        const bytes = await load.read(read.path, frame);
        if (bytes < blobBytes) throw new Error(`Read ${bytes} of ${blobBytes} bytes`);
      };
      return { calls: times(count, call), bytes: count * blobBytes };
    },
  },
  {
    name: 'write',
    about: 'ByteStream.Write of new blobs',
    loads: LARGE_LOADS,
    warmUpCalls: 0,
    async prepare(load, count, blobBytes) {
      return {
        calls: freshBlobs(count, blobBytes).map((blob) => () => written(load, blob)),
        bytes: count * blobBytes,
      };
    },
  },
];
