import { createHash, hash } from 'node:crypto';
import { Fault } from '../base/fault.ts';
import { hashOf, sizeOf, type Digest } from './digest.ts';

/**
 * Passes the chunks of `source` on and checks them: the last one is held back until all of them have the digest, so that
 * nobody gets a whole blob that is wrong. `code` says whose fault a difference is.
 * @throws {Fault} `code`; whatever `source` throws.
 */
export async function* verified(
  digest: Digest,
  source: AsyncIterable<Uint8Array>,
  code: 'DIGEST_MISMATCH' | 'BLOB_CORRUPT',
): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash('sha256');
  let left = sizeOf(digest);
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    if (chunk.byteLength === 0) continue;
    if (held !== undefined) yield held;
    left -= chunk.byteLength;
    if (left < 0) throw new Fault(code, `Blob ${digest}: more than its ${sizeOf(digest)} bytes came`);
    sum.update(chunk);
    held = chunk;
  }
  if (left > 0) throw new Fault(code, `Blob ${digest}: only ${sizeOf(digest) - left} of its ${sizeOf(digest)} bytes came`);
  if (sum.digest('hex') !== hashOf(digest)) throw new Fault(code, `Blob ${digest}: the bytes have another SHA-256`);
  if (held !== undefined) yield held;
}

/** Checks bytes that are all there. @throws {Fault} `code`. */
export function verifyBytes(digest: Digest, bytes: Uint8Array, code: 'DIGEST_MISMATCH' | 'BLOB_CORRUPT'): void {
  if (bytes.byteLength !== sizeOf(digest))
    throw new Fault(code, `Blob ${digest}: ${bytes.byteLength} bytes came, not its ${sizeOf(digest)}`);
  if (hash('sha256', bytes, 'hex') !== hashOf(digest)) throw new Fault(code, `Blob ${digest}: the bytes have another SHA-256`);
}

/** All bytes of a blob, at most as many as it has. @throws {Fault} DIGEST_MISMATCH where others came. */
export async function collectVerified(digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array): Promise<Uint8Array> {
  if (source instanceof Uint8Array) {
    verifyBytes(digest, source, 'DIGEST_MISMATCH');
    return source;
  }
  const bytes = new Uint8Array(sizeOf(digest));
  let length = 0;
  for await (const chunk of verified(digest, source, 'DIGEST_MISMATCH')) {
    bytes.set(chunk, length);
    length += chunk.byteLength;
  }
  return bytes;
}
