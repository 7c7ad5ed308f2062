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
 * Decompresses one or many frames, in any pieces.
 * @throws {Fault} BAD_REQUEST for data that is damaged, truncated or no zstd; whatever `source` throws.
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const frames = new FrameSource(source[Symbol.asyncIterator]());
  while (await frames.hasMore()) yield* decompressFrame(frames);
}

/** Decompresses bytes that are all there, to at most `limitBytes`. @throws {Fault} BAD_REQUEST */
export function decompressZstdSync(bytes: Uint8Array, limitBytes: number): Uint8Array {
  const scanner = new FrameScanner();
  const parts: Uint8Array[] = [];
  let start = 0;
  let length = 0;
  for (const end of scanner.feed(bytes)) {
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

async function* decompressFrame(frames: FrameSource): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = zlib.createZstdDecompress({ chunkSize: OUTPUT_BYTES });
  const input = Readable.from(frames.next(), { objectMode: true, highWaterMark: 1 });
  input.on('error', (error) => decoder.destroy(error));
  input.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk as Uint8Array; // a decoder's chunks are Buffers
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!/^(ZSTD_|Z_|ERR_ZSTD)/.test(code)) throw error;
    throw new Fault('BAD_REQUEST', 'The zstd data is damaged or truncated', { cause: error });
  } finally {
    input.destroy();
    decoder.destroy();
  }
}

/** Cuts the source's chunks at the ends of frames. */
class FrameSource {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #scanner = new FrameScanner();
  #rest: Uint8Array = new Uint8Array(0);
  /** Ends of frames in `#rest`. */
  #ends: number[] = [];

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  /** Whether anything comes after the last frame. */
  async hasMore(): Promise<boolean> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#source.next();
      if (next.done === true) {
        if (this.#scanner.inFrame) throw new Fault('BAD_REQUEST', 'The zstd data is truncated');
        return false;
      }
      this.#rest = next.value;
      this.#ends = this.#scanner.feed(next.value);
    }
    return true;
  }

  /** The bytes of the next frame. */
  async *next(): AsyncGenerator<Uint8Array, void, undefined> {
    while (await this.hasMore()) {
      const end = this.#ends.shift();
      const piece = this.#rest.subarray(0, end ?? this.#rest.byteLength);
      this.#rest = this.#rest.subarray(piece.byteLength);
      this.#ends = this.#ends.map((later) => later - piece.byteLength);
      yield piece;
      if (end !== undefined) return;
    }
  }
}
