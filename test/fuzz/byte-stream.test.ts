import { randomBytes, randomUUID } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import { digestOf, hashOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { decompressZstdSync } from '../../cache/zstd.ts';
import { callClientStream, callServerStream, callUnary, dial } from '../../proto/dial.ts';
import type { WriteRequest } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { loadProto } from '../../proto/load.ts';
import { openTestDataPlane, type TestDataPlane } from '../fixtures/data-plane.ts';

const { signal } = new AbortController();
const { ByteStream } = loadProto().google.bytestream;
let plane: TestDataPlane;
let client: InstanceType<typeof ByteStream>;

beforeAll(async () => {
  plane = await openTestDataPlane();
  client = dial(ByteStream, plane.link('main'), 'bulk');
});
afterAll(async () => {
  client.close();
  await plane[Symbol.asyncDispose]();
});

/** The code of a fault that a client can act on; whatever else was thrown is thrown again. */
function codeOf(error: unknown): string {
  if (isFault(error) && error.code !== 'INTERNAL') return error.code;
  throw error;
}

async function read(
  resourceName: string,
  range: { readonly readOffset?: number; readonly readLimit?: number } = {},
): Promise<Buffer | string> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const { data } of callServerStream(client, 'read', { resourceName, ...range }, { signal }))
      chunks.push(Uint8Array.from(data));
    return Buffer.concat(chunks);
  } catch (error) {
    return codeOf(error);
  }
}

const blobName = (digest: Digest) => `web/main/blobs/${hashOf(digest)}/${sizeOf(digest)}`;

/** One call of Write, or what a client does between two of them. */
const CALL = fc.record({
  from: fc.constantFrom('start', 'resume', 'resume', 'elsewhere'),
  pieces: fc.array(fc.nat(90_000), { maxLength: 5 }),
  isDamaged: fc.nat(3).map((one) => one === 0),
  end: fc.constantFrom('finish', 'finish early', 'cut', 'half-close', 'more', 'wrong offset', 'other name'),
});
type Call = typeof CALL extends fc.Arbitrary<infer T> ? T : never;
const RIGHT: Call = { from: 'resume', pieces: [], isDamaged: false, end: 'finish' };

/** What a client sends in one call; `cut` breaks the connection's stream. */
async function* messagesOf(call: Call, resourceName: string, bytes: Buffer, start: number, cut: () => void): AsyncGenerator<WriteRequest> {
  let at = start;
  const next = (size: number, isFirst: boolean): WriteRequest => {
    const data = Buffer.from(bytes.subarray(at, at + size));
    if (call.isDamaged && data.byteLength > 0) data[0] = (data[0] ?? 0) ^ 1;
    const message = { ...(isFirst ? { resourceName } : {}), writeOffset: at, data };
    at += data.byteLength;
    return message;
  };
  for (const [index, size] of [0, ...call.pieces].entries()) yield next(size, index === 0);
  switch (call.end) {
    case 'finish':
    case 'more':
      yield { ...next(bytes.byteLength, false), finishWrite: true };
      if (call.end === 'more') yield { writeOffset: at, data: Buffer.from('more') };
      return;
    case 'finish early':
      yield { ...next(1, false), finishWrite: true };
      return;
    case 'cut':
      cut();
      await new Promise(() => {}); // the call is over
      return;
    case 'half-close':
      return;
    case 'wrong offset':
      yield { writeOffset: at + 1, data: Buffer.from('x') };
      return;
    case 'other name':
      yield { resourceName: `${resourceName}0`, writeOffset: at, data: Buffer.from('x') };
      return;
    default:
      throw new Error(call.end);
  }
}

async function write(call: Call, resourceName: string, bytes: Buffer, start: number): Promise<string> {
  const stop = new AbortController();
  const messages = messagesOf(call, resourceName, bytes, start, () => stop.abort());
  try {
    const { committedSize } = await callClientStream(client, 'write', messages, { signal: stop.signal });
    return committedSize;
  } catch (error) {
    return codeOf(error);
  }
}

describe('whatever is written, broken off and taken up again', () => {
  test.for(['identity', 'zstd'] as const)(
    '%s: what can be read is what its name says, and a client that does right gets there',
    async (encoding) => {
      const law = fc.asyncProperty(fc.nat(200_000), fc.array(CALL, { maxLength: 5 }), async (size, calls) => {
        const blob = randomBytes(size + 1);
        const digest = digestOf(blob);
        const bytes = encoding === 'identity' ? blob : zstdCompressSync(blob);
        const form = encoding === 'identity' ? 'blobs' : 'compressed-blobs/zstd';
        const resourceName = `web/main/uploads/${randomUUID()}/${form}/${hashOf(digest)}/${sizeOf(digest)}`;
        const place = async () => {
          const { committedSize, complete } = await callUnary(client, 'queryWriteStatus', { resourceName }, { signal });
          expect(Number(committedSize)).toBeLessThanOrEqual(blob.byteLength);
          if (complete) expect(Number(committedSize)).toBe(blob.byteLength);
          else expect(await read(blobName(digest))).toBe('BLOB_UNKNOWN');
          return complete ? 0 : Number(committedSize);
        };
        const done = encoding === 'identity' ? [String(blob.byteLength)] : [String(bytes.byteLength), '-1'];
        for (const call of calls) {
          const start = call.from === 'start' ? 0 : (await place()) + (call.from === 'elsewhere' ? 7 : 0);
          const answer = await write(call, resourceName, bytes, start);
          const found = await read(blobName(digest));
          if (done.includes(answer)) expect(found).toEqual(blob);
          else expect(answer).toMatch(/^(BAD_REQUEST|DIGEST_MISMATCH|CANCELLED)$/);
          if (typeof found !== 'string') expect(found.equals(blob)).toBe(true);
          else expect(found).toBe('BLOB_UNKNOWN');
        }
        const answers = [await write(RIGHT, resourceName, bytes, await place())];
        if (!done.includes(answers[0] ?? '')) answers.push(await write(RIGHT, resourceName, bytes, await place()));
        expect(done).toContain(answers.at(-1)); // what was damaged before it is refused once, and then begun anew
        expect(await read(blobName(digest))).toEqual(blob);
      });
      await fc.assert(law, { numRuns: 15 });
    },
  );
});

test('any offset and limit gives those bytes or says that there are none, compressed or not', async () => {
  const blob = randomBytes(300_000);
  const digest = digestOf(blob);
  await write(RIGHT, `web/main/uploads/u/blobs/${hashOf(digest)}/${sizeOf(digest)}`, blob, 0);
  const number = fc.oneof(fc.integer({ min: -3, max: 300_010 }), fc.constantFrom(299_999, 300_000, 300_001, 2 ** 53, 2 ** 62, -(2 ** 62)));
  const law = fc.asyncProperty(number, number, fc.boolean(), async (readOffset, readLimit, isCompressed) => {
    const name = isCompressed ? blobName(digest).replace('/blobs/', '/compressed-blobs/zstd/') : blobName(digest);
    const found = await read(name, { readOffset, readLimit });
    if (readOffset < 0 || readOffset > blob.byteLength) expect(found).toBe('OUT_OF_RANGE');
    else if (readLimit < 0 || (isCompressed && readLimit !== 0)) expect(found).toBe('BAD_REQUEST');
    else if (readLimit > Number.MAX_SAFE_INTEGER) expect(found).toBe('BAD_REQUEST');
    else {
      const want = blob.subarray(readOffset, readLimit === 0 ? undefined : readOffset + readLimit);
      expect(typeof found !== 'string' && isCompressed ? decompressZstdSync(found, blob.byteLength + 1) : found).toEqual(want);
    }
  });
  await fc.assert(law, { numRuns: 80 });
});
