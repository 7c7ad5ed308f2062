import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, writeSync } from 'node:fs';
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
  /** All bytes from the start. */
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

  const write = (bytes: Uint8Array): void => {
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
    read: (offset, length) => readAt(fd, offset, Math.min(length, Math.max(0, size - offset))),
    sealed() {
      if (size === 0) return undefined;
      const digest = present(digestFrom(hash.copy().digest('hex'), size), 'the hash of a log is a hash');
      return { digest, truncated };
    },
    stream: () => (size === 0 ? nothing() : createReadStream(path, { end: size - 1, highWaterMark: 256 * 1024 })),
    close: () => closeSync(fd),
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

async function* nothing(): AsyncGenerator<Uint8Array, void, void> {}
