import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { digestOf } from '../digest.ts';
import { memoryObjects } from '../objects/memory.ts';
import { readFooter } from './footer-reader.ts';
import { encodeFooter, packOf, PACK_FORMAT, TRAILER_BYTES, type Footer } from './format.ts';
import { newPackName, packKey, packOfKey, parsePackName } from './names.ts';

const { signal } = new AbortController();

function footerOf(blobs: readonly Uint8Array[]): { readonly footer: Footer; readonly bytes: Buffer } {
  const frames = Buffer.concat(blobs);
  let offset = 0;
  const rows = blobs.map((blob) => {
    const row = { digest: digestOf(blob), kind: 'bytes' as const, frame: 0, offset, length: blob.byteLength };
    offset += blob.byteLength;
    return row;
  });
  const footer: Footer = {
    owner: { project: 'web', scope: 'main/pr-7' },
    producer: 'b-1',
    writtenAt: 1_700_000_000_000,
    frames: [{ storedBytes: frames.byteLength, rawBytes: frames.byteLength, encoding: 'raw' }],
    rows,
  };
  return { footer, bytes: Buffer.concat([frames, encodeFooter(footer)]) };
}

async function read(bytes: Uint8Array) {
  await using objects = memoryObjects({ clock: systemClock });
  const name = newPackName();
  await objects.put(packKey(name), bytes, { ifAbsent: true }, signal);
  return { name, footer: await readFooter(objects, name, bytes.byteLength, signal) };
}

/** Lays down another version in the trailer of a pack, its checksum right. */
function withVersion(bytes: Buffer, major: number, minor: number): Buffer {
  const changed = Buffer.from(bytes);
  const trailer = changed.byteLength - TRAILER_BYTES;
  changed.writeUInt16LE(major, trailer + 8);
  changed.writeUInt16LE(minor, trailer + 10);
  const start = Number(changed.readBigUInt64LE(trailer + 16));
  createHash('sha256')
    .update(changed.subarray(start, trailer + 32))
    .digest()
    .copy(changed, trailer + 32);
  return changed;
}

describe('the end of a pack', () => {
  test.for([0, 1, 300, 9_000])('says what is in it: %i blobs', async (count) => {
    const { footer, bytes } = footerOf(Array.from({ length: count }, (_, index) => Buffer.from(`blob ${index}`)));
    const got = await read(bytes);
    expect(got.footer).toEqual(footer);
    const pack = packOf(got.name, bytes.byteLength, got.footer, 5);
    expect(pack).toMatchObject({ owner: footer.owner, producer: 'b-1', begunAt: 5, sizeBytes: bytes.byteLength });
    expect(pack.rows.length).toBe(count);
  });

  test('gives frames their places: one after the other', () => {
    const frames = [10, 20, 30].map((storedBytes) => ({ storedBytes, rawBytes: 100, encoding: 'zstd' as const }));
    const rows = [0, 1, 2].map((frame) => ({
      digest: digestOf(Buffer.from([frame])),
      kind: 'bytes' as const,
      frame,
      offset: 0,
      length: 1,
    }));
    const pack = packOf(newPackName(), 1, { owner: { project: 'web', scope: 'main' }, producer: '', writtenAt: 0, frames, rows }, 0);
    expect(pack.rows.map(({ place }) => place.frame.offset)).toEqual([0, 10, 30]);
  });

  test('no byte of it can change, and none be missing, unnoticed', async () => {
    const { bytes } = footerOf([randomBytes(50), randomBytes(70)]);
    const end = bytes.byteLength - 120;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: end, max: bytes.byteLength - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        const error: unknown = await read(damaged).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        // The major version may be the byte that changed.
        expect(error).toMatchObject({ code: expect.stringMatching(/^(BLOB_CORRUPT|PROTOCOL_UNSUPPORTED)$/) });
      }),
      { numRuns: 400 },
    );
    for (let length = 0; length < bytes.byteLength; length += 1) await expectFault('BLOB_CORRUPT', read(bytes.subarray(0, length)));
  });

  test('a newer major version is refused by its number, and what to do', async () => {
    const { bytes } = footerOf([randomBytes(5)]);
    const newer = read(withVersion(bytes, PACK_FORMAT.major + 1, 3));
    await expect(newer).rejects.toThrow(/has format 2\.3; this version reads up to 1\.x/);
    await expect(newer).rejects.toMatchObject({ code: 'PROTOCOL_UNSUPPORTED', hint: expect.stringContaining('Upgrade') });
  });

  test('a newer minor version is read', async () => {
    const { footer, bytes } = footerOf([randomBytes(5)]);
    expect((await read(withVersion(bytes, PACK_FORMAT.major, 9))).footer).toEqual(footer);
  });

  test('a footer that expands to more than it says is refused before it is all there', async () => {
    const { bytes } = footerOf(Array.from({ length: 2_000 }, () => Buffer.from('x')));
    const trailer = bytes.byteLength - TRAILER_BYTES;
    const bomb = Buffer.from(bytes);
    bomb.writeUInt32LE(100, trailer + 24);
    await expect(read(withVersion(bomb, 1, 0))).rejects.toThrow(/cannot be decompressed/);
  });

  test('rows that point out of their frame are refused', async () => {
    const { footer } = footerOf([randomBytes(5)]);
    const rows = footer.rows.map((row) => ({ ...row, offset: 1 }));
    await expect(read(Buffer.concat([randomBytes(5), encodeFooter({ ...footer, rows })]))).rejects.toThrow(/a row of its footer/);
  });
});

test('the format is what docs/cache-format.md says, byte by byte', () => {
  const { bytes } = footerOf([Buffer.from('hello')]);
  const trailer = bytes.subarray(-TRAILER_BYTES);
  expect(trailer.subarray(0, 8).toString('latin1')).toBe('SWYDPACK');
  expect(trailer.readUInt16LE(8)).toBe(1);
  expect(trailer.readUInt16LE(10)).toBe(0);
  expect(trailer.readUInt32LE(12)).toBe(bytes.byteLength - 5 - TRAILER_BYTES);
  expect(trailer.readBigUInt64LE(16)).toBe(5n);
  expect(trailer.readUInt32LE(28)).toBe(0);
});

test('names are keys and back, and nothing else is', () => {
  const name = newPackName();
  expect(packOfKey(packKey(name))).toBe(name);
  for (const key of ['p/00/', `p/zz/${name}`, `p/${name}`, `${packKey(name)}x`, `p/${name.slice(2, 4)}x/${name}`])
    expect(packOfKey(key)).toBeUndefined();
  expect(parsePackName('..')).toBeUndefined();
});
