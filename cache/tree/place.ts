import { createHash, hash } from 'node:crypto';
import fs from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { hashOf, sizeOf, type Digest } from '../digest.ts';

/** Seconds since the epoch that every materialised file and directory carries, so that two trees of one root are equal. */
export const FIXED_MTIME_S = 1_000_000_000;

/** Permission bits of what is materialised. */
export type Modes = { readonly file: number; readonly executable: number; readonly directory: number };

export const WRITABLE_MODES: Modes = { file: 0o644, executable: 0o755, directory: 0o755 };
/** For trees that are shared: a reminder, not a guard; root writes them all the same. */
export const READ_ONLY_MODES: Modes = { file: 0o444, executable: 0o555, directory: 0o555 };

/**
 * Makes a new file of a blob's bytes. Nothing is overwritten and no link is followed; bytes are checked against the digest
 * before the file is closed, and a file that failed is removed.
 * @throws {Fault} BLOB_CORRUPT where the bytes are other ones; STORE_FULL where the disk is full; whatever `source` throws.
 */
export async function placeFile(path: string, digest: Digest, mode: number, source: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  let good = false;
  try {
    if (source instanceof Uint8Array) {
      if (source.byteLength !== sizeOf(digest) || hash('sha256', source, 'hex') !== hashOf(digest)) throw corrupt(digest);
      writeAll(fd, source);
    } else await writeChunks(fd, digest, source);
    fs.fchmodSync(fd, mode & 0o777);
    fs.futimesSync(fd, FIXED_MTIME_S, FIXED_MTIME_S);
    good = true;
  } catch (error) {
    throw diskFault(error, path);
  } finally {
    fs.closeSync(fd);
    if (!good) fs.rmSync(path, { force: true });
  }
}

async function writeChunks(fd: number, digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
  const sum = createHash('sha256');
  let left = sizeOf(digest);
  for await (const chunk of source) {
    left -= chunk.byteLength;
    if (left < 0) throw corrupt(digest);
    sum.update(chunk);
    writeAll(fd, chunk);
  }
  if (left !== 0 || sum.digest('hex') !== hashOf(digest)) throw corrupt(digest);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength;) at += fs.writeSync(fd, bytes, at);
}

function corrupt(digest: Digest): Fault {
  return new Fault('BLOB_CORRUPT', `Blob ${digest}: other bytes came than its own`);
}

/** A full disk as STORE_FULL; every other error as it is. */
export function diskFault(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new Fault('STORE_FULL', `No room to write "${path}"`, { cause: error, hint: 'Make room on that disk.' });
}
