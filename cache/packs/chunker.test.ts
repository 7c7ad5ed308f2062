import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { prngFrom } from '../../base/prng.ts';
import { chunked } from '../../test/contract/blob-store.ts';
import { CHUNK_SIZES, contentPieces, cutPoint, evenPieces, type ChunkSizes } from './chunker.ts';

const SMALL: ChunkSizes = { minBytes: 256, avgBytes: 1_024, maxBytes: 4_096 };

/** The same bytes for the same seed, on every machine. */
function noise(seed: number, size: number): Uint8Array {
  const prng = prngFrom(seed);
  return Uint8Array.from({ length: size }, () => prng.below(256));
}

function cuts(bytes: Uint8Array, sizes: ChunkSizes): number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.byteLength; start = ends.at(-1) ?? 0) ends.push(cutPoint(bytes, start, bytes.byteLength, sizes));
  return ends;
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test('pieces are the source, in order, each within the bounds, however the source comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 1, max: 70_000 }), async (seed, size, step) => {
      const bytes = noise(seed, size);
      const pieces = await collect(contentPieces(chunked(bytes, step), SMALL));
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
      for (const [index, piece] of pieces.entries()) {
        expect(piece.byteLength).toBeLessThanOrEqual(SMALL.maxBytes);
        if (index < pieces.length - 1) expect(piece.byteLength).toBeGreaterThan(SMALL.minBytes);
      }
      expect(pieces.map(({ byteLength }) => byteLength)).toEqual(lengthsOf(cuts(bytes, SMALL)));
    }),
    { numRuns: 60 },
  );
});

function lengthsOf(ends: readonly number[]): number[] {
  return ends.map((end, index) => end - (ends[index - 1] ?? 0));
}

test('an insertion anywhere changes a few pieces around it and no others', () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 3_000 }), (seed, where, count) => {
      const bytes = noise(seed, 120_000);
      const at = Math.floor(where * bytes.byteLength);
      const longer = Buffer.concat([bytes.subarray(0, at), noise(seed + 1, count), bytes.subarray(at)]);
      const before = new Set(cuts(bytes, SMALL));
      const after = new Set(cuts(longer, SMALL));
      // Cuts in front stay; behind, all but those within a few pieces of the place are the same ones, moved.
      const clear = at + 12 * SMALL.maxBytes;
      for (const end of before) {
        if (end <= at - SMALL.maxBytes) expect(after.has(end)).toBe(true);
        if (end >= clear) expect(after.has(end + count)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('cuts never move: stored pieces are found again by later versions', () => {
  const ends = cuts(noise(7, 2 * 1024 * 1024), CHUNK_SIZES);
  expect(ends).toMatchInlineSnapshot(`
    [
      99124,
      188966,
      294080,
      366528,
      433091,
      504082,
      522099,
      627362,
      699983,
      811048,
      883755,
      1038599,
      1059500,
      1090803,
      1139256,
      1218660,
      1286514,
      1328233,
      1397375,
      1477071,
      1623911,
      1706966,
      1821431,
      1899096,
      1992837,
      2014529,
      2055067,
      2097152,
    ]
  `);
});

test('the mean size of pieces is near the average that was asked for', () => {
  const bytes = randomBytes(16 * 1024 * 1024);
  const mean = bytes.byteLength / cuts(bytes, CHUNK_SIZES).length;
  expect(mean).toBeGreaterThan(CHUNK_SIZES.avgBytes * 0.8);
  expect(mean).toBeLessThan(CHUNK_SIZES.avgBytes * 1.4);
});

test('bytes that are all the same are cut at the largest size', () => {
  expect(new Set(lengthsOf(cuts(new Uint8Array(1024 * 1024), CHUNK_SIZES)))).toEqual(new Set([CHUNK_SIZES.maxBytes]));
});

test('even pieces are all of the size but the last', async () => {
  const bytes = noise(3, 10_500);
  const pieces = await collect(evenPieces(chunked(bytes, 777), 4_096));
  expect(pieces.map(({ byteLength }) => byteLength)).toEqual([4_096, 4_096, 2_308]);
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
});

test('pieces that were given stay as they are while later ones are cut', async () => {
  const bytes = randomBytes(6 * 1024 * 1024);
  const pieces = await collect(contentPieces(chunked(bytes, 100_000), CHUNK_SIZES));
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
});
