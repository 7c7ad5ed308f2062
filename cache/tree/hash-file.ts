import { createHash, hash } from 'node:crypto';
import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault } from '../../base/fault.ts';
import { digestFrom, type Digest } from '../digest.ts';

/** A file's digest, the facts that tell whether it changed since, and when it was looked at. */
export type HashedFile = { readonly digest: Digest; readonly stat: fs.BigIntStats; readonly atMs: number | undefined };

/** Read at once up to this size; above it in pieces, between which other work gets its turn. */
const PIECE = 1024 * 1024;
const TURN_BYTES = 16 * PIECE;
const TRIES = 3;

/** One buffer for all: whoever uses it gives no turn away while it holds bytes that are still needed. */
const shared = Buffer.allocUnsafeSlow(PIECE);

/**
 * Reads and hashes a file. A file that changes meanwhile is read again.
 * @throws {Fault} BAD_REQUEST where it does not stop changing; whatever reading throws.
 */
export async function hashFile(path: string, atMs: number | undefined, signal: AbortSignal): Promise<HashedFile> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    try {
      const before = fs.fstatSync(fd, { bigint: true });
      if (!before.isFile()) throw new Fault('BAD_REQUEST', `"${path}" is no file any more`);
      const size = Number(before.size);
      const hex = size <= PIECE ? hashSmall(fd) : await hashLarge(fd, signal);
      const after = fs.fstatSync(fd, { bigint: true });
      const digest = digestFrom(hex.hash, hex.bytes);
      const same = before.size === after.size && before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs;
      if (same && hex.bytes === size && digest !== undefined) return { digest, stat: after, atMs };
    } finally {
      fs.closeSync(fd);
    }
    signal.throwIfAborted();
  }
  throw new Fault('BAD_REQUEST', `"${path}" changes while it is read`, { hint: 'Try again when nothing writes to it.' });
}

type Hashed = { readonly hash: string; readonly bytes: number };

function hashSmall(fd: number): Hashed {
  let length = 0;
  while (length < shared.byteLength) {
    const count = fs.readSync(fd, shared, length, shared.byteLength - length, null);
    if (count === 0) break;
    length += count;
  }
  return { hash: hash('sha256', shared.subarray(0, length), 'hex'), bytes: length };
}

async function hashLarge(fd: number, signal: AbortSignal): Promise<Hashed> {
  const sum = createHash('sha256');
  let bytes = 0;
  let turnAt = TURN_BYTES;
  for (;;) {
    const count = fs.readSync(fd, shared, 0, shared.byteLength, null);
    if (count === 0) return { hash: sum.digest('hex'), bytes };
    sum.update(shared.subarray(0, count));
    bytes += count;
    if (bytes >= turnAt) {
      turnAt += TURN_BYTES;
      await nextTurn(undefined, { signal });
    }
  }
}
