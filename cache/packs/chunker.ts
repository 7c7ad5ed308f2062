import { hash } from 'node:crypto';

/** Sizes of pieces in bytes. `avgBytes` is a power of two from 2^10 to 2^24. */
export type ChunkSizes = { readonly minBytes: number; readonly avgBytes: number; readonly maxBytes: number };

/** 64 KiB did better than 512 KiB on the deltas of bumped dependencies, and packs take the cost of requests away. */
export const CHUNK_SIZES: ChunkSizes = { minBytes: 16 * 1024, avgBytes: 64 * 1024, maxBytes: 256 * 1024 };

const SEED = 'switchyard gear 1';
/** How many bits harder a cut is before the average size, and easier after it: keeps sizes near the average. */
const NORMALISATION = 2;
const REFILL_BYTES = 1024 * 1024;

/** A random number for each value of a byte, from hashes of the seed, so that everybody who cuts gets the same. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) => Buffer.from(hash('sha256', `${SEED} ${byte}`, 'hex'), 'hex').readInt32LE(0));

/**
 * Where the first piece of `bytes` from `start` ends (FastCDC 2020 with normalised chunking): a place that the 32 bytes before it
 * decide, at least `minBytes` and at most `maxBytes` away, or `end` where that comes first. What stands elsewhere in the file does
 * not move it: so an insertion changes the pieces around it and no others.
 */
export function cutPoint(bytes: Uint8Array, start: number, end: number, sizes: ChunkSizes): number {
  const stop = Math.min(end, start + sizes.maxBytes);
  if (stop - start <= sizes.minBytes) return stop;
  const bits = Math.log2(sizes.avgBytes);
  // The upper bits of the hash depend on most bytes.
  const strict = -1 << (32 - (bits + NORMALISATION));
  const loose = -1 << (32 - (bits - NORMALISATION));
  const normal = Math.min(stop, start + sizes.avgBytes);
  // Local, and without a fallback for what cannot be absent: this loop sees every byte that is stored.
  const gear = GEAR;
  let fingerprint = 0;
  let at = start + sizes.minBytes;
  while (at < normal) {
    fingerprint = ((fingerprint << 1) + (gear[bytes[at] as number] as number)) | 0; // `at` lies in `bytes`, and a byte in the table
    at += 1;
    if ((fingerprint & strict) === 0) return at;
  }
  while (at < stop) {
    fingerprint = ((fingerprint << 1) + (gear[bytes[at] as number] as number)) | 0; // as above
    at += 1;
    if ((fingerprint & loose) === 0) return at;
  }
  return stop;
}

/** Cuts by content. Pieces are views of buffers that are not written again. */
export function contentPieces(source: AsyncIterable<Uint8Array>, sizes: ChunkSizes): AsyncGenerator<Uint8Array, void, undefined> {
  return pieces(source, sizes.maxBytes, (bytes, start, end) => cutPoint(bytes, start, end, sizes));
}

/** Cuts every `sizeBytes`. */
export function evenPieces(source: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  return pieces(source, sizeBytes, (_, start, end) => Math.min(end, start + sizeBytes));
}

/** Memory: two buffers of `REFILL_BYTES` and a piece, beside the pieces that the consumer keeps. */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  cut: (bytes: Uint8Array, start: number, end: number) => number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const capacity = REFILL_BYTES + maxBytes;
  let buffer = Buffer.allocUnsafeSlow(capacity);
  let start = 0;
  let end = 0;
  for await (const chunk of source) {
    for (let taken = 0; taken < chunk.byteLength;) {
      if (end === capacity) {
        const fresh = Buffer.allocUnsafeSlow(capacity); // pieces of the old one are still in use
        end = buffer.copy(fresh, 0, start, end);
        buffer = fresh;
        start = 0;
      }
      const step = Math.min(chunk.byteLength - taken, capacity - end);
      buffer.set(chunk.subarray(taken, taken + step), end);
      taken += step;
      end += step;
      while (end - start >= maxBytes) {
        const next = cut(buffer, start, end);
        yield buffer.subarray(start, next);
        start = next;
      }
    }
  }
  while (start < end) {
    const next = cut(buffer, start, end);
    yield buffer.subarray(start, next);
    start = next;
  }
}
