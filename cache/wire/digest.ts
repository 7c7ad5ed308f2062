import { Fault } from '../../base/fault.ts';
import { digestAt, digestFrom, hashOf, sizeOf, type Digest } from '../digest.ts';
import { WireReader, type WireWriter } from './wire.ts';

/** Writes `digest` as a REAPI Digest message in `field`. */
export function writeDigest(writer: WireWriter, field: number, digest: Digest): void {
  writer.message(field, (message) => message.string(1, hashOf(digest)).varint(2, sizeOf(digest)));
}

/** Key and length of the hash where a Digest message begins as everybody writes it, and where its size begins then. */
const PLAIN = { hashKey: 0x0a, hashBytes: 64, hashAt: 2, sizeKeyAt: 66, sizeKey: 0x10, sizeAt: 67 } as const;

/** Longest message that `plainDigest` reads: sizes below 2^53 have eight bytes at most. */
export const DIGEST_BYTES_MAX = PLAIN.sizeAt + 8;

/**
 * The digest of a REAPI Digest message, `bytes` from `start` to `end`, in the form in which everybody writes it, hash and then size, for a
 * fifth of what it costs to read any; undefined for other forms, and where it names no blob.
 */
export function plainDigest(bytes: Buffer, start: number, end: number): Digest | undefined {
  const length = end - start;
  if (length <= PLAIN.sizeAt || length > DIGEST_BYTES_MAX) return undefined;
  if (bytes[start] !== PLAIN.hashKey || bytes[start + 1] !== PLAIN.hashBytes || bytes[start + PLAIN.sizeKeyAt] !== PLAIN.sizeKey)
    return undefined;
  let size = 0;
  for (let at = start + PLAIN.sizeAt, scale = 1; at < end; at += 1, scale *= 128) {
    const byte = bytes[at] ?? 0;
    if (byte > 127 !== at < end - 1) return undefined; // the number ends with the message, and not before
    size += (byte & 127) * scale;
  }
  return digestAt(bytes, start + PLAIN.hashAt, size);
}

/** Reads a REAPI Digest message. @throws {Fault} BAD_REQUEST where it names no blob; `what` says whose digest it is. */
export function readDigest(bytes: Uint8Array, what: string): Digest {
  const plain = plainDigest(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength);
  if (plain !== undefined) return plain;
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
