import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunked, expectFault } from '../test/contract/blob-store.ts';
import { FrameScanner } from './zstd-frames.ts';
import { compressZstd, decompressZstd, decompressZstdSync, STRANGERS_WINDOW_LOG } from './zstd.ts';

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

const SKIPPABLE = Buffer.from('502a4d1803000000616263', 'hex');

describe('zstd', () => {
  test('gives back what was compressed, however frames and pieces fall', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(3).map((kind) => Buffer.alloc(200_000, kind)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 6 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.boolean(),
        async (parts, size, checksum) => {
          const params = { [zlib.constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 };
          const frames = Buffer.concat(parts.flatMap((bytes) => [zlib.zstdCompressSync(bytes, { params }), SKIPPABLE]));
          const expected = Buffer.concat(parts);
          expect((await all(decompressZstd(chunked(frames, size)))).equals(expected)).toBe(true);
          expect(Buffer.from(decompressZstdSync(frames, expected.byteLength + 1)).equals(expected)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('compresses large and empty input into what another decoder understands', async () => {
    const bytes = Buffer.concat([randomBytes(700_000), Buffer.alloc(3_000_000, 'text ')]);
    const compressed = await all(compressZstd(chunked(bytes, 1024 * 1024)));
    expect(compressed.byteLength).toBeLessThan(1_100_000);
    expect((await all(decompressZstd(chunked(compressed, 65_536)))).equals(bytes)).toBe(true);
    expect(zlib.zstdDecompressSync(await all(compressZstd(chunked(Buffer.alloc(0), 1)))).byteLength).toBe(0);
  });

  test('refuses truncated, damaged and foreign data', async () => {
    const frame = zlib.zstdCompressSync(randomBytes(50_000), { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
    for (const cut of [1, 5, 1_000, frame.byteLength - 1]) {
      await expectFault('BAD_REQUEST', all(decompressZstd(chunked(frame.subarray(0, cut), 4_096))));
      expect(() => decompressZstdSync(frame.subarray(0, cut), 100_000)).toThrow(/truncated|damaged/);
    }
    const damaged = Buffer.from(frame);
    damaged[damaged.byteLength - 2] = (damaged[damaged.byteLength - 2] ?? 0) ^ 1;
    await expectFault('BAD_REQUEST', all(decompressZstd(chunked(damaged, 4_096))));
    await expectFault('BAD_REQUEST', all(decompressZstd(chunked(Buffer.from('not compressed at all'), 7))));
    await expectFault('BAD_REQUEST', all(decompressZstd(chunked(Buffer.concat([frame, Buffer.from('trailing garbage')]), 4_096))));
  });

  test('stops at the limit', () => {
    const bomb = zlib.zstdCompressSync(Buffer.alloc(50_000_000));
    expect(() => decompressZstdSync(bomb, 1_000)).toThrow('holds more than 1000 bytes');
  });
});

describe('zstd of strangers', () => {
  const EMPTY = Buffer.from('28b52ffd2000010000', 'hex');

  test('in crumbs is refused before it costs much', async () => {
    const crumbs = Buffer.concat(Array.from({ length: 200_000 }, () => EMPTY));
    await expectFault('BAD_REQUEST', all(decompressZstd(chunked(crumbs, crumbs.byteLength))));
    expect(() => decompressZstdSync(crumbs, 1)).toThrow('in crumbs: 0 bytes in 64 frames');
    const fewBytes = zlib.zstdCompressSync(Buffer.alloc(10));
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => fewBytes));
    expect(() => decompressZstdSync(many, 20_000)).toThrow('in crumbs');
  });

  test('in frames of a few KiB is taken', async () => {
    const part = randomBytes(2_048);
    const many = Buffer.concat(Array.from({ length: 200 }, () => zlib.zstdCompressSync(part)));
    expect((await all(decompressZstd(chunked(many, 100_000)))).byteLength).toBe(409_600);
    expect(decompressZstdSync(many, 409_601).byteLength).toBe(409_600);
  });

  test('with a window that the decoder would have to keep is refused, and taken where it is trusted', async () => {
    const params = { [zlib.constants.ZSTD_c_windowLog]: 26, [zlib.constants.ZSTD_c_contentSizeFlag]: 0 };
    const wide = zlib.zstdCompressSync(Buffer.alloc(20_000_000), { params });
    await expectFault('BAD_REQUEST', all(decompressZstd(chunked(wide, 4_096), STRANGERS_WINDOW_LOG)));
    expect((await all(decompressZstd(chunked(wide, 4_096)))).byteLength).toBe(20_000_000);
    const usual = zlib.zstdCompressSync(Buffer.alloc(20_000_000, 'abc'), { params: { [zlib.constants.ZSTD_c_compressionLevel]: 19 } });
    expect((await all(decompressZstd(chunked(usual, 4_096), STRANGERS_WINDOW_LOG))).byteLength).toBe(20_000_000);
  });

  test('that is all headers of blocks is looked through at once', () => {
    const blocks = Buffer.concat([Buffer.from('28b52ffd2000', 'hex'), Buffer.alloc(6_000_000), Buffer.from('010000', 'hex')]);
    expect(new FrameScanner().feed(blocks)).toEqual([blocks.byteLength]);
  });
});
