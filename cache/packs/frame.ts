import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import type { Frame } from '../store-index/store-index.ts';
import { FRAME_MAX_BYTES, type FooterFrame } from './format.ts';

const compress = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const decompress = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

/** What compression must save for its price on reading: 3 %. */
const WORTHWHILE = 0.97;
const SAMPLE_BYTES = 8 * 1024;

/** A frame of an object whose name is known for messages only. */
export type FrameIn = Omit<Frame, 'pack'> & { readonly pack: string };

/** A blob, or a piece of one, within the raw bytes of its frame. */
export type BlobInFrame = { readonly digest: Digest; readonly offset: number; readonly length: number };

export type EncodedFrame = FooterFrame & { readonly bytes: Uint8Array };

/** A frame of `raw`: zstd where that saves something, else as it is. `level` as zstd's; `try: false` spares the attempt. */
export async function encodeFrame(raw: Uint8Array, options: { readonly level: number; readonly try: boolean }): Promise<EncodedFrame> {
  const rawBytes = raw.byteLength;
  if (options.try && rawBytes > 0) {
    const bytes = await compress(raw, { params: { [zlib.constants.ZSTD_c_compressionLevel]: options.level } });
    if (bytes.byteLength < rawBytes * WORTHWHILE) return { bytes, storedBytes: bytes.byteLength, rawBytes, encoding: 'zstd' };
  }
  return { bytes: raw, storedBytes: rawBytes, rawBytes, encoding: 'raw' };
}

/**
 * The bytes of a frame. No frame decodes to more than its `rawBytes`, whatever the data says.
 * @throws {Fault} BLOB_CORRUPT where the bytes are not such a frame.
 */
export async function decodeFrame(frame: FrameIn, stored: Uint8Array): Promise<Uint8Array> {
  checkSizes(frame, stored);
  if (frame.encoding === 'raw') return stored;
  return ofItsSize(
    frame,
    await decompress(stored, limitsOf(frame)).catch((error: unknown) => {
      throw corrupt(frame, error);
    }),
  );
}

/** As `decodeFrame`, for threads that have nothing else to do meanwhile. */
export function decodeFrameHere(frame: FrameIn, stored: Uint8Array): Uint8Array {
  checkSizes(frame, stored);
  if (frame.encoding === 'raw') return stored;
  try {
    return ofItsSize(frame, zlib.zstdDecompressSync(stored, limitsOf(frame)));
  } catch (error) {
    throw corrupt(frame, error);
  }
}

function checkSizes(frame: FrameIn, stored: Uint8Array): void {
  const { rawBytes, storedBytes, encoding } = frame;
  const isTooLarge = rawBytes > FRAME_MAX_BYTES || storedBytes > FRAME_MAX_BYTES;
  if (isTooLarge || stored.byteLength !== storedBytes || (encoding === 'raw' && storedBytes !== rawBytes)) throw corrupt(frame);
}

function limitsOf({ rawBytes }: FrameIn): zlib.ZstdOptions {
  return { chunkSize: Math.max(1_024, rawBytes), maxOutputLength: Math.max(1, rawBytes) };
}

function ofItsSize(frame: FrameIn, raw: Uint8Array): Uint8Array {
  if (raw.byteLength !== frame.rawBytes) throw corrupt(frame);
  return raw;
}

/** Whether samples of `bytes` compress; where not (archives, images), neither compression nor cutting by content is worth its time. */
export function looksCompressible(bytes: Uint8Array): boolean {
  let sampled = 0;
  let compressed = 0;
  for (const part of [0, 1, 2]) {
    const start = Math.floor((Math.max(0, bytes.byteLength - SAMPLE_BYTES) * part) / 2);
    const sample = bytes.subarray(start, start + SAMPLE_BYTES);
    sampled += sample.byteLength;
    compressed += zlib.zstdCompressSync(sample, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } }).byteLength;
  }
  return compressed < sampled * WORTHWHILE;
}

function corrupt(frame: FrameIn, cause?: unknown): Fault {
  const message = `The frame at ${frame.offset} of pack ${frame.pack} is damaged: it does not decode to its ${frame.rawBytes} bytes`;
  return new Fault('BLOB_CORRUPT', message, cause === undefined ? {} : { cause });
}
