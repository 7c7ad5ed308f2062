import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf } from '../digest.ts';
import { bodyOf } from './body.ts';
import type { Body } from './exchange.ts';
import { openSpool } from './spool.ts';

const { signal } = new AbortController();
const KIB = 1024;
let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
});
afterAll(() => dir[Symbol.asyncDispose]());

const bodyFrom = (lengthBytes: number | undefined, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Body => {
  return { lengthBytes, bytesMax: 1024 * KIB, chunks: Readable.from(chunks) };
};

/** Sends one byte of what it said, and the rest of it not before it may. */
async function* reluctant(lengthBytes: number, may: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(1);
  await may;
  yield Buffer.alloc(lengthBytes - 1);
}

describe('bodies that wait for their digest', () => {
  test('keep nobody out by what they say and do not send', async () => {
    const spool = await openSpool(dir.path, { memoryBytes: 64 * KIB, filesBytes: 10_240 * KIB });
    let go = () => {};
    const may = new Promise<void>((resolve) => (go = resolve));
    const sizes = [32 * KIB, 32 * KIB, 32 * KIB, 5_000 * KIB, 5_000 * KIB];
    const slow = sizes.map((size) => spool.spool(bodyFrom(size, reluctant(size, may)), signal));
    for (const bytes of [Buffer.alloc(20 * KIB, 'small'), Buffer.alloc(8_000 * KIB, 'large')]) {
      await using whole = await spool.spool(bodyFrom(bytes.byteLength, [bytes]), signal);
      expect(whole.digest).toBe(digestOf(bytes));
    }
    go();
    for (const one of await Promise.all(slow)) await one[Symbol.asyncDispose]();
  });

  test('are refused while there is no room for what they send', async () => {
    const spool = await openSpool(dir.path, { memoryBytes: 0, filesBytes: 600 * KIB });
    const large = Buffer.alloc(500 * KIB, 'in a file');
    const first = await spool.spool(bodyFrom(undefined, [large]), signal);
    const error: unknown = await spool.spool(bodyFrom(200 * KIB, [Buffer.alloc(200 * KIB)]), signal).catch((reason: unknown) => reason);
    expect(isFault(error, 'LIMIT_EXCEEDED')).toBe(true);
    await first[Symbol.asyncDispose]();
    await using second = await spool.spool(bodyFrom(undefined, [large]), signal);
    expect(second.digest).toBe(digestOf(large));
  });
});

describe('a client that sends its body', () => {
  /** What comes of a body in ten chunks, for each of which the client takes so long. */
  const after = async (msEach: number, chunkBytes: number): Promise<number | string> => {
    let now = 0;
    const request = Object.assign(
      Readable.from(
        (function* () {
          for (let chunk = 0; chunk < 10; chunk += 1) {
            now += msEach;
            yield Buffer.alloc(chunkBytes);
          }
        })(),
        { highWaterMark: 1 },
      ),
      { headers: {} },
    );
    const body = bodyOf(request, { writeContinue: () => {} }, false, 1_000_000, { monotonic: () => now });
    let bytes = 0;
    try {
      for await (const chunk of body.chunks) bytes += chunk.byteLength;
      return bytes;
    } catch (error) {
      return isFault(error) ? error.code : String(error);
    }
  };

  test('byte by byte is not waited for, and one on a slow line is', async () => {
    expect(await after(1_000, 1)).toBe(10);
    expect(await after(20_000, 1)).toBe('DEADLINE');
    expect(await after(20_000, 80 * KIB)).toBe(10 * 80 * KIB);
  });
});
