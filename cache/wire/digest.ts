import { Fault } from '../../base/fault.ts';
import { digestFrom, hashOf, sizeOf, type Digest } from '../digest.ts';
import { WireReader, type WireWriter } from './wire.ts';

/** Writes `digest` as a REAPI Digest message in `field`. */
export function writeDigest(writer: WireWriter, field: number, digest: Digest): void {
  writer.message(field, (message) => message.string(1, hashOf(digest)).varint(2, sizeOf(digest)));
}

/** Reads a REAPI Digest message. @throws {Fault} BAD_REQUEST where it names no blob; `what` says whose digest it is. */
export function readDigest(bytes: Uint8Array, what: string): Digest {
  let hash = '';
  let size = 0;
  const reader = new WireReader(bytes, 'Digest');
  while (reader.next()) {
    if (reader.field === 1) hash = reader.string();
    else if (reader.field === 2) size = reader.varint();
  }
  const digest = digestFrom(hash, size);
  if (digest === undefined) {
    throw new Fault('BAD_REQUEST', `${what}: not the digest of a blob (SHA-256 as 64 lower-case hex digits, and its size)`);
  }
  return digest;
}
