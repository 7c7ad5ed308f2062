import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { codeOf } from '../base/thrown.ts';
import { Fault } from '../base/fault.ts';
import { FrameScanner } from './zstd-frames.ts';

const compressOnce = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
/** Fast, and still a third to a fifth of most text. */
const LEVEL = 1;
const OUTPUT_BYTES = 256 * 1024;

/**
 * A decoder costs some 50 us, however little its frame holds: frames beyond the first ones must have so much in them on average, or
 * a megabyte of empty frames is minutes of work. Encoders that cut at all cut at 32 KiB and more.
 */
const FRAMES_FREE = 64;
const FRAME_BYTES_MIN = 1024;

/**
 * Largest window (log2 of its bytes) of what strangers send: the decoder of a frame keeps that much for as long as the sender likes. It is
 * what every decoder is asked to support, and what encoders use up to level 19.
 */
export const STRANGERS_WINDOW_LOG = 23;

/** A valid frame of nothing. */
const EMPTY_FRAME = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00);

/** Compresses each chunk into a frame of its own; at least one frame comes. */
export async function* compressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let any = false;
  for await (const chunk of source) {
    if (chunk.byteLength === 0) continue;
    any = true;
    yield await compressOnce(chunk, {
      chunkSize: Math.max(1_024, chunk.byteLength),
      params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL },
    });
  }
  if (!any) yield EMPTY_FRAME;
}

/**
 * Decompresses one or many frames, in any pieces. `windowLogMax`: how large a window they may have, see `STRANGERS_WINDOW_LOG`.
 * @default 27, as zstd itself takes without being told otherwise
 * @throws {Fault} BAD_REQUEST for data that is damaged, truncated, in crumbs or no zstd; whatever `source` throws.
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>, windowLogMax = 27): AsyncGenerator<Uint8Array, void, undefined> {
  const frames = new FrameSource(source[Symbol.asyncIterator]());
  let bytes = 0;
  for (let count = 1; await frames.hasMore(); count += 1) {
    refuseCrumbs(count, bytes);
    for await (const chunk of decompressFrame(frames, windowLogMax)) {
      bytes += chunk.byteLength;
      yield chunk;
    }
  }
}

function refuseCrumbs(frames: number, bytes: number): void {
  if (frames <= FRAMES_FREE + bytes / FRAME_BYTES_MIN) return;
  throw new Fault('BAD_REQUEST', `The zstd data is in crumbs: ${bytes} bytes in ${frames - 1} frames`, {
    hint: 'Compress it as one frame.',
  });
}

/** Decompresses bytes that are all there, to at most `limitBytes`. @throws {Fault} BAD_REQUEST */
export function decompressZstdSync(bytes: Uint8Array, limitBytes: number): Uint8Array {
  const scanner = new FrameScanner();
  const parts: Uint8Array[] = [];
  let start = 0;
  let length = 0;
  for (const [index, end] of scanner.feed(bytes).entries()) {
    refuseCrumbs(index + 1, length);
    try {
      const part = zlib.zstdDecompressSync(bytes.subarray(start, end), { maxOutputLength: Math.max(1, limitBytes - length) });
      parts.push(part);
      length += part.byteLength;
    } catch (error) {
      throw new Fault('BAD_REQUEST', `The zstd data is damaged, or holds more than ${limitBytes} bytes`, { cause: error });
    }
    start = end;
  }
  if (start < bytes.byteLength) throw new Fault('BAD_REQUEST', 'The zstd data is truncated');
  return Buffer.concat(parts);
}

async function* decompressFrame(frames: FrameSource, windowLogMax: number): AsyncGenerator<Uint8Array, void, undefined> {
  const params = { [zlib.constants.ZSTD_d_windowLogMax]: windowLogMax };
  const decoder = zlib.createZstdDecompress({ chunkSize: OUTPUT_BYTES, params });
  const input = Readable.from(frames.next(), { objectMode: true, highWaterMark: 1 });
  input.on('error', (error) => decoder.destroy(error));
  input.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk as Uint8Array; // a decoder's chunks are Buffers
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!/^(ZSTD_|Z_|ERR_ZSTD)/.test(code)) throw error;
    const why =
      code === 'ZSTD_error_frameParameter_windowTooLarge'
        ? `has a window of more than ${2 ** windowLogMax} bytes`
        : 'is damaged or truncated';
    throw new Fault('BAD_REQUEST', `The zstd data ${why}`, { cause: error });
  } finally {
    input.destroy();
    decoder.destroy();
  }
}

/** Cuts the source's chunks at the ends of frames. */
class FrameSource {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #scanner = new FrameScanner();
  #chunk: Uint8Array = new Uint8Array(0);
  /** What of the chunk was given out. */
  #at = 0;
  /** Ends of frames in the chunk, and how many of them lie before `#at`. */
  #ends: readonly number[] = [];
  #passed = 0;

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  /** Whether anything comes after the last frame. */
  async hasMore(): Promise<boolean> {
    while (this.#at === this.#chunk.byteLength) {
      const next = await this.#source.next();
      if (next.done === true) {
        if (this.#scanner.inFrame) throw new Fault('BAD_REQUEST', 'The zstd data is truncated');
        return false;
      }
      this.#chunk = next.value;
      this.#ends = this.#scanner.feed(next.value);
      this.#at = this.#passed = 0;
    }
    return true;
  }

  /** The bytes of the next frame. */
  async *next(): AsyncGenerator<Uint8Array, void, undefined> {
    while (await this.hasMore()) {
      const end = this.#ends[this.#passed];
      const piece = this.#chunk.subarray(this.#at, end);
      this.#at += piece.byteLength;
      if (end !== undefined) this.#passed += 1;
      yield piece;
      if (end !== undefined) return;
    }
  }
}
