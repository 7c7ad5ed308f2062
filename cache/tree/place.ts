import { createHash, hash } from 'node:crypto';
import fs from 'node:fs';
import { codeOf } from '../../base/thrown.ts';
import { Fault } from '../../base/fault.ts';
import { hashOf, sizeOf, type Digest } from '../digest.ts';

/** Seconds since the epoch that what is materialised carries where it has no time of its own, so that two trees of one root are equal. */
export const FIXED_MTIME_S = 1_000_000_000;

/** Permission bits of what is materialised. */
export type Modes = { readonly file: number; readonly executable: number; readonly directory: number };

export const WRITABLE_MODES: Modes = { file: 0o644, executable: 0o755, directory: 0o755 };
/** For trees that are shared: a reminder, not a guard; root writes them all the same. */
export const READ_ONLY_MODES: Modes = { file: 0o444, executable: 0o555, directory: 0o555 };

/** A run of zeros from this size on, in whole blocks of it, becomes a hole. */
const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** The time of an entry, in the seconds that the file system's calls take. Half a microsecond more: they cut, and a double is coarser. */
export function mtimeOf(mtimeUs: number | undefined): number {
  return mtimeUs === undefined ? FIXED_MTIME_S : (mtimeUs + 0.5) / 1_000_000;
}

/**
 * Makes a new file of a blob's bytes. Nothing is overwritten and no link is followed; bytes are checked against the digest
 * before the file is closed, and a file that failed is removed. Long runs of zeros take no room.
 * @throws {Fault} BLOB_CORRUPT where the bytes are other ones; STORE_FULL where the disk is full; whatever `source` throws.
 */
export async function placeFile(
  path: string,
  digest: Digest,
  mode: number,
  source: AsyncIterable<Uint8Array> | Uint8Array,
  mtimeS = FIXED_MTIME_S,
): Promise<void> {
  if (source instanceof Uint8Array) return placeBytes(path, digest, mode, source, mtimeS);
  using file = openNew(path);
  await writeChunks(file.fd, digest, source).catch((error: unknown) => {
    throw diskFault(error, path);
  });
  file.finish(digest, mode, mtimeS);
}

/** As `placeFile`, for bytes that are at hand, without a wait. */
export function placeBytes(path: string, digest: Digest, mode: number, bytes: Uint8Array, mtimeS: number): void {
  if (bytes.byteLength !== sizeOf(digest) || hash('sha256', bytes, 'hex') !== hashOf(digest)) throw corrupt(digest);
  using file = openNew(path);
  try {
    writeAt(file.fd, bytes, 0);
  } catch (error) {
    throw diskFault(error, path);
  }
  file.finish(digest, mode, mtimeS);
}

type NewFile = Disposable & { readonly fd: number; readonly finish: (digest: Digest, mode: number, mtimeS: number) => void };

/** A file that is gone again unless it is finished. */
function openNew(path: string): NewFile {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (error) {
    throw diskFault(error, path);
  }
  let good = false;
  return {
    fd,
    finish(digest, mode, mtimeS) {
      // A hole at the end is not there yet. Where there is none, this costs a look.
      if (sizeOf(digest) >= HOLE_BYTES) fs.ftruncateSync(fd, sizeOf(digest));
      fs.fchmodSync(fd, mode & 0o777);
      fs.futimesSync(fd, mtimeS, mtimeS);
      good = true;
    },
    [Symbol.dispose]() {
      fs.closeSync(fd);
      if (!good) fs.rmSync(path, { force: true });
    },
  };
}

async function writeChunks(fd: number, digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
  const sum = createHash('sha256');
  let at = 0;
  for await (const chunk of source) {
    if (at + chunk.byteLength > sizeOf(digest)) throw corrupt(digest);
    sum.update(chunk);
    writeAt(fd, chunk, at);
    at += chunk.byteLength;
  }
  if (at !== sizeOf(digest) || sum.digest('hex') !== hashOf(digest)) throw corrupt(digest);
}

/** Writes at that offset, leaving out blocks of zeros: what is never written reads as zeros. */
function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  let from = 0;
  const flush = (to: number) => {
    while (from < to) from += fs.writeSync(fd, bytes, from, to - from, offset + from);
  };
  // Blocks are counted in the file, not in the chunk: a file system's holes begin and end there.
  for (let at = (HOLE_BYTES - (offset % HOLE_BYTES)) % HOLE_BYTES; at + HOLE_BYTES <= bytes.byteLength; at += HOLE_BYTES) {
    if (!ZEROS.equals(bytes.subarray(at, at + HOLE_BYTES))) continue;
    flush(at);
    from = at + HOLE_BYTES;
  }
  flush(bytes.byteLength);
}

function corrupt(digest: Digest): Fault {
  return new Fault('BLOB_CORRUPT', `Blob ${digest}: other bytes came than its own`);
}

/** A full disk or quota as STORE_FULL; every other error as it is. */
export function diskFault(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === 'ENOSPC')
    return new Fault('STORE_FULL', `No room to write "${path}"`, { cause: error, hint: 'Make room on that disk: bytes or inodes.' });
  if (code === 'EDQUOT')
    return new Fault('STORE_FULL', `The quota leaves no room to write "${path}"`, {
      cause: error,
      hint: 'Raise the quota, or make room within it.',
    });
  return error;
}
