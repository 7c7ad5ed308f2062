import { status } from '@grpc/grpc-js';
import { NO_MESSAGE_OF_ITS_KIND, PREFIX_BYTES, tooLarge, type CallStatus, type RawCall, type Taken } from './raw-call.ts';

/**
 * Puts the one request of a call together and hands it to `handle` as soon as it is there: that the client will send no more often comes
 * in a packet of its own, and nobody needs it.
 */
export function receiveOne(call: RawCall, { stream, definition, bytesMax }: Taken, handle: () => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  /** With its prefix; unknown until that is there. */
  let size = Infinity;
  stream.on('data', (chunk: Buffer) => {
    if (call.isOver) return;
    chunks.push(chunk);
    length += chunk.byteLength;
    if (size === Infinity && length >= PREFIX_BYTES) size = PREFIX_BYTES + joined(chunks).readUInt32BE(1);
    if (size !== Infinity && size - PREFIX_BYTES > bytesMax) return call.cut(tooLarge(size - PREFIX_BYTES, bytesMax));
    if (length > size) return call.cut(secondMessage(definition.path));
    if (length < size) return;
    try {
      call.request = definition.requestDeserialize(joined(chunks).subarray(PREFIX_BYTES));
    } catch {
      return call.end(NO_MESSAGE_OF_ITS_KIND);
    }
    handle();
  });
  stream.on('end', () => {
    if (!call.isOver && length < size) call.end(noMessage(definition.path));
  });
}

/** All that has come, as one. */
function joined(chunks: Buffer[]): Buffer {
  if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
  return chunks[0] ?? Buffer.alloc(0);
}

function noMessage(path: string): CallStatus {
  return { code: status.UNIMPLEMENTED, details: `Received no request message for ${path}` };
}

function secondMessage(path: string): CallStatus {
  return { code: status.UNIMPLEMENTED, details: `Received a second request message for ${path}` };
}
