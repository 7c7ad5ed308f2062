import { Fault } from '../../base/fault.ts';
import type { ByteStreamHandlers } from '../../proto/gen/google/bytestream/ByteStream.ts';
import type { ReadRequest__Output } from '../../proto/gen/google/bytestream/ReadRequest.ts';
import type { ReadResponse } from '../../proto/gen/google/bytestream/ReadResponse.ts';
import { clientStream, serverStream, unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { RawForm } from '../../proto/raw-sink.ts';
import type { ServedService } from '../../proto/serve.ts';
import { sizeOf } from '../digest.ts';
import { giveBack } from '../lent-buffers.ts';
import { compressZstd } from '../zstd.ts';
import { accessOf } from './access.ts';
import { PIECE_BYTES } from './limits.ts';
import { parseResourceName } from './resource-name.ts';
import type { DataPlaneParts } from './service.ts';
import { Uploads } from './uploads.ts';
import { WriteAssembler } from './write-assembler.ts';
import { uploadKey, writeBlob } from './write-blob.ts';

/** ByteStream over blobs. Disposal gives up the uploads that wait to be taken up again. */
export function byteStreamService(parts: DataPlaneParts): ServedService & Disposable {
  const { env } = parts;
  const { service } = loadProto().google.bytestream.ByteStream;
  const uploads = new Uploads();
  const handlers: ByteStreamHandlers = {
    Read: serverStream(
      env,
      'Read',
      (request, call) => {
        const { execution } = parts;
        return execution?.isLog(request.resourceName) === true ? execution.readLog(request, call) : read(parts, request, call);
      },
      READ_RESPONSE,
    ),
    Write: clientStream(env, 'Write', (requests, call) => writeBlob(parts, uploads, requests, call)),
    QueryWriteStatus: unary(env, 'QueryWriteStatus', async (request, call) => {
      const name = parseResourceName(request.resourceName, 'write');
      const access = accessOf(parts, name.instance, call);
      const missing = await parts.storeOf(access.view).findMissing([name.digest], call.signal);
      if (missing.length === 0) return { committedSize: String(sizeOf(name.digest)), complete: true };
      // A compressed upload starts over: its bytes so far say nothing of the place in the blob.
      const received = name.encoding === 'identity' ? uploads.receivedBytes(uploadKey(access, name)) : 0;
      return { committedSize: String(received), complete: false };
    }),
  };
  const raw = { uploads: { Write: () => new WriteAssembler() }, reads: ['Read'] };
  return { definition: service, handlers, raw, [Symbol.dispose]: () => uploads[Symbol.dispose]() };
}

/** Field 10, bytes: see bytestream.proto. */
const DATA_TAG = (10 << 3) | 2;

/** ReadResponse: its bytes go out from where they were read, and their buffer is used again then. */
export const READ_RESPONSE: RawForm<ReadResponse> = {
  parts({ data }) {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : (data ?? new Uint8Array(0));
    const head: number[] = [];
    if (bytes.byteLength > 0) {
      head.push(DATA_TAG);
      let left = bytes.byteLength;
      for (; left > 0x7f; left >>>= 7) head.push((left & 0x7f) | 0x80);
      head.push(left);
    }
    return [Uint8Array.from(head), bytes];
  },
  sent({ data }) {
    if (data instanceof Uint8Array) giveBack(data);
  },
};

async function* read(parts: DataPlaneParts, request: ReadRequest__Output, call: Call): AsyncGenerator<ReadResponse, void, undefined> {
  const { instance, digest, encoding } = parseResourceName(request.resourceName, 'read');
  const access = accessOf(parts, instance, call);
  const offset = Number(request.readOffset);
  const limit = Number(request.readLimit);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > sizeOf(digest)) {
    throw new Fault('OUT_OF_RANGE', `read_offset is ${request.readOffset}; the blob has ${sizeOf(digest)} bytes`, { field: 'read_offset' });
  }
  if (!Number.isSafeInteger(limit) || limit < 0) throw new Fault('BAD_REQUEST', 'read_limit must be 0 or more', { field: 'read_limit' });
  if (encoding === 'zstd' && limit !== 0) {
    throw new Fault('BAD_REQUEST', 'read_limit must be 0 for compressed blobs', { field: 'read_limit' });
  }
  const range = offset === 0 && limit === 0 ? undefined : { offset, ...(limit === 0 ? {} : { length: limit }) };
  const store = parts.storeOf(access.view);
  const atHand = range === undefined && encoding === 'identity' ? store.atHand?.(digest) : undefined;
  if (atHand !== undefined) return yield { data: atHand };
  const plain = store.get(digest, range, call.signal);
  for await (const chunk of encoding === 'zstd' ? compressZstd(plain) : plain) {
    if (chunk.byteLength <= PIECE_BYTES) yield { data: chunk };
    else for (let start = 0; start < chunk.byteLength; start += PIECE_BYTES) yield { data: chunk.subarray(start, start + PIECE_BYTES) };
  }
}
