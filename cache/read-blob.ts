import { Fault } from '../base/fault.ts';
import type { BlobStore, ReadBlob } from './blob-store.ts';
import { digestOf, sizeOf } from './digest.ts';

/** Largest blob that is ever held in memory as a whole: directories, trees, actions, small files. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** Reads whole blobs from `store`, verified. @throws {Fault} TOO_LARGE over `limitBytes`; BLOB_CORRUPT; as `get`. */
export function blobReader(store: BlobStore, limitBytes: number = LIMIT_BYTES): ReadBlob {
  return async (digest, signal) => {
    const size = sizeOf(digest);
    if (size > limitBytes) throw new Fault('TOO_LARGE', `Blob ${digest} has ${size} bytes; at most ${limitBytes} are read as a whole`);
    signal.throwIfAborted();
    const atHand = store.atHand?.(digest);
    if (atHand !== undefined) return atHand;
    const bytes = new Uint8Array(size);
    let length = 0;
    for await (const chunk of store.get(digest, undefined, signal)) {
      if (length + chunk.byteLength > size) throw new Fault('BLOB_CORRUPT', `Blob ${digest}: more bytes came than it has`);
      bytes.set(chunk, length);
      length += chunk.byteLength;
    }
    if (length !== size || digestOf(bytes) !== digest) throw new Fault('BLOB_CORRUPT', `Blob ${digest}: other bytes came than its own`);
    return bytes;
  };
}
