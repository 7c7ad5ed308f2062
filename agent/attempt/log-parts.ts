import { createHash } from 'node:crypto';
import { present } from '../../base/assert.ts';
import type { StreamDigests } from '../../cache/action/result.ts';
import { digestFrom, type Digest } from '../../cache/digest.ts';

export type LogStream = 'stdout' | 'stderr';

/** After more changes from one stream to the other they are not told apart any more: a command may write a byte here and a byte there. */
const CHANGES_MAX = 100_000;

/** Which bytes of a log came from which of its command's two streams. The log itself has them all, in the order in which they came. */
export class LogParts {
  readonly #changesMax: number;
  /** Lengths in bytes, of standard output and of standard error in turns, from the start of the log. */
  readonly #runs: number[] = [0];
  readonly #kept = { stdout: emptyStream(), stderr: emptyStream() };
  #isMixed = false;

  constructor(changesMax = CHANGES_MAX) {
    this.#changesMax = changesMax;
  }

  /** What the log took next, and where that came from. */
  took(stream: LogStream, bytes: Uint8Array): void {
    if (this.#isMixed || bytes.byteLength === 0) return;
    const kept = this.#kept[stream];
    kept.size += bytes.byteLength;
    kept.hash.update(bytes);
    if ((this.#runs.length % 2 === 1) === (stream === 'stdout')) this.#runs[this.#runs.length - 1] = this.#last() + bytes.byteLength;
    else this.#runs.push(bytes.byteLength);
    this.#isMixed = this.#runs.length > this.#changesMax;
  }

  /** The streams as values; undefined where all is standard output, or cannot be told apart. */
  sealed(): StreamDigests | undefined {
    const { stdout, stderr } = this.#kept;
    if (this.#isMixed || stderr.size === 0) return undefined;
    return { ...(stdout.size === 0 ? {} : { stdout: digestOfStream(stdout) }), stderr: digestOfStream(stderr) };
  }

  /** The bytes of one stream, out of those of the whole log. */
  async *pick(wanted: LogStream, log: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    let run = 0;
    let left = this.#runs[0] ?? 0;
    for await (const piece of log) {
      for (let at = 0; at < piece.byteLength;) {
        while (left === 0) {
          run += 1;
          left = present(this.#runs[run], 'the log has what was noted of it');
        }
        const length = Math.min(left, piece.byteLength - at);
        if ((run % 2 === 0) === (wanted === 'stdout')) yield piece.subarray(at, at + length);
        at += length;
        left -= length;
      }
    }
  }

  #last(): number {
    return this.#runs.at(-1) ?? 0;
  }
}

function emptyStream() {
  return { size: 0, hash: createHash('sha256') };
}

function digestOfStream({ size, hash }: ReturnType<typeof emptyStream>): Digest {
  return present(digestFrom(hash.copy().digest('hex'), size), 'the hash of a stream is a hash');
}
