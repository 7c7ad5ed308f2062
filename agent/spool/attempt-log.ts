import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SealedLog } from '../../cache/action/result.ts';
import { digestFrom } from '../../cache/digest.ts';
import { present } from '../../base/assert.ts';

/** Ends a log that was longer than what is kept. */
export const CUT_MARK = '\n[switchyard: the log is longer than what is kept; the rest was dropped]\n';

/**
 * The log of one attempt: a byte sequence that only grows, on disk. Beyond its limit bytes are dropped, never waited
 * for, and `CUT_MARK` takes the place of the last of them. Calls are synchronous, into the page cache.
 */
export interface AttemptLog {
  /** Bytes that may be read. */
  readonly size: number;
  readonly truncated: boolean;
  /** Takes all of `bytes` or drops what is too much; where the disk does not take them the log is cut there. */
  append(bytes: Uint8Array): void;
  /** Up to `length` bytes from `offset`. */
  read(offset: number, length: number): Uint8Array;
  /** The whole log as a value, for its upload; undefined where it is empty. */
  sealed(): SealedLog | undefined;
  /** All bytes from the start, as often as it is iterated; the file is opened when that begins, and may be gone by then. */
  stream(): AsyncIterable<Uint8Array>;
  close(): void;
}

export type AttemptLogOptions = {
  readonly path: string;
  /** Most bytes, the mark included. */
  readonly bytesMax: number;
  /** Asks for room in the spool that all logs share; whatever is granted less than asked for cuts the log. */
  readonly reserve: (bytes: number) => number;
  /** The disk took no more. Called once at most. */
  readonly onError: (error: unknown) => void;
};

/** Makes the file anew. @throws {Error} the file system's. */
export function createAttemptLog(options: AttemptLogOptions): AttemptLog {
  const { path, reserve, onError } = options;
  const fd = openSync(path, 'w+');
  const hash = createHash('sha256');
  const mark = Buffer.from(CUT_MARK);
  const room = Math.max(0, options.bytesMax - mark.length);
  let size = 0;
  let truncated = false;
  let closed = false;
  // The number of a closed file may stand for another one by now.
  const checkOpen = () => {
    if (closed) throw new Error(`The log ${path} is closed`);
  };

  const write = (bytes: Uint8Array): void => {
    checkOpen();
    for (let done = 0; done < bytes.length;) {
      const written = writeSync(fd, bytes, done, bytes.length - done, size);
      hash.update(bytes.subarray(done, done + written));
      size += written;
      done += written;
    }
  };
  return {
    get size() {
      return size;
    },
    get truncated() {
      return truncated;
    },
    append(bytes) {
      if (truncated || bytes.length === 0) return;
      const wanted = Math.min(bytes.length, room - size);
      const granted = reserve(wanted);
      truncated = granted < bytes.length;
      try {
        write(bytes.subarray(0, granted));
        if (truncated) write(mark);
      } catch (error) {
        truncated = true;
        onError(error);
      }
    },
    read(offset, length) {
      checkOpen();
      return readAt(fd, offset, Math.min(length, Math.max(0, size - offset)));
    },
    sealed() {
      if (size === 0) return undefined;
      const digest = present(digestFrom(hash.copy().digest('hex'), size), 'the hash of a log is a hash');
      return { digest, truncated };
    },
    stream: () => ({ [Symbol.asyncIterator]: () => piecesOf(path, size) }),
    close() {
      if (closed) return;
      closed = true;
      closeSync(fd);
    },
  };
}

/** Up to `length` bytes of `fd` from `offset`; fewer at the end of the file. */
export function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

const PIECE_BYTES = 256 * 1024;

async function* piecesOf(path: string, size: number): AsyncGenerator<Uint8Array, void, void> {
  if (size === 0) return;
  const file = await open(path, 'r');
  try {
    for (let offset = 0; offset < size;) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - offset));
      const { bytesRead } = await file.read(piece, 0, piece.length, offset);
      if (bytesRead === 0) return;
      offset += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
