import { randomBytes } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, createServer } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { digestOf, hashOf } from '../../cache/digest.ts';
import { PERMISSIONS } from '../../proto/permissions.ts';
import { loadProto } from '../../proto/load.ts';
import { until } from '../fixtures/until.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../fixtures/data-plane.ts';

const { v2 } = loadProto().build.bazel.remote.execution;
const same = (bytes: Buffer) => bytes;
let plane: TestDataPlane;
let client: Client;

beforeAll(async () => {
  plane = await openTestDataPlane({ coordinator: '127.0.0.1:1' });
  client = new Client(plane.address, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await plane[Symbol.asyncDispose]();
});

/** The paths of all that this data plane serves. */
const PATHS = Object.entries(PERMISSIONS).flatMap(([service, rpcs]) =>
  /switchyard\.v1\.(Build|Agent)$|reflection|Health/.test(service) ? [] : Object.keys(rpcs).map((rpc) => `/${service}/${rpc}`),
);

/** The status of a call with one message of raw bytes; every kind of call begins with one. */
async function statusOf(path: string, request: Buffer, who: Who): Promise<number> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${who}`);
  const call = client.makeBidiStreamRequest(path, same, same, metadata, { deadline: systemClock.now() + 60_000 });
  call.on('data', () => {});
  call.write(request);
  call.end();
  return new Promise((resolve) => {
    call.on('error', (error: ServiceError) => resolve(error.code));
    call.on('end', () => resolve(status.OK));
  });
}

/** A server that is up gives back what is put. */
async function isUp(): Promise<boolean> {
  const data = randomBytes(100);
  const digest = { hash: hashOf(digestOf(data)), sizeBytes: 100 };
  const request = v2.BatchUpdateBlobsRequest.serialize({ requests: [{ digest, data }] });
  const missing = v2.FindMissingBlobsRequest.serialize({ blobDigests: [digest] });
  const cas = '/build.bazel.remote.execution.v2.ContentAddressableStorage';
  return (await statusOf(`${cas}/BatchUpdateBlobs`, request, 'main')) + (await statusOf(`${cas}/FindMissingBlobs`, missing, 'main')) === 0;
}

const digest = fc.record({
  hash: fc.oneof(fc.constant(hashOf(digestOf(Buffer.from('a')))), fc.string({ maxLength: 70 })),
  sizeBytes: fc.oneof(fc.constantFrom(0, 1, -1, 2 ** 40, Number.MAX_SAFE_INTEGER), fc.integer()),
});
const instanceName = fc.constantFrom(
  '',
  'web',
  'web/main',
  'web/main/pr-7',
  'other/main',
  'web/.hidden',
  '//',
  'blobs',
  'web/main/blobs',
  '\0',
);
/** Messages that are none, that were some, and that are some with odd things in them. */
const message = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .record({ wireType: fc.nat(7), field: fc.nat(20), bytes: fc.uint8Array({ maxLength: 40 }) })
    .map(({ wireType, field, bytes }) => [field * 8 + wireType, ...bytes]),
  fc.record({ instanceName, blobDigests: fc.array(digest, { maxLength: 4 }) }).map((one) => v2.FindMissingBlobsRequest.serialize(one)),
  fc
    .record({ instanceName, actionDigest: digest, inlineOutputFiles: fc.array(fc.string()) })
    .map((one) => v2.GetActionResultRequest.serialize(one)),
  fc
    .record({ instanceName, rootDigest: digest, pageSize: fc.integer(), pageToken: fc.string() })
    .map((one) => v2.GetTreeRequest.serialize(one)),
  fc
    .record({ instanceName, blobDigest: digest, chunkDigests: fc.array(digest, { maxLength: 4 }) })
    .map((one) => v2.SpliceBlobRequest.serialize(one)),
);

test("every rpc answers any bytes with a status of the caller's, and goes on", async () => {
  const law = fc.asyncProperty(
    fc.constantFrom(...PATHS),
    message,
    fc.constantFrom<Who>('main', 'pr', 'viewer', 'agent'),
    async (path, bytes, who) => {
      const code = await statusOf(path, Buffer.from(bytes), who);
      expect(code).not.toBe(status.UNKNOWN);
      expect(code).not.toBe(status.DEADLINE_EXCEEDED);
    },
  );
  await fc.assert(law, { numRuns: 120 });
  // Bytes that are no message are INTERNAL by the word of gRPC; a handler that failed would be in the log.
  expect(plane.env.log.entries.filter(({ event }) => event === 'call-failed')).toEqual([]);
  expect(await isUp()).toBe(true);
});

test('messages that nest without end, or say lengths that they have not, cost nothing', async () => {
  const bombs = [Buffer.alloc(200_000, 0x0b), Buffer.from('0affffffff0f', 'hex'), Buffer.alloc(200_000, 0x0a), Buffer.alloc(200_000, 0x12)];
  for (const bomb of bombs) {
    for (const rpc of ['FindMissingBlobs', 'BatchUpdateBlobs', 'GetTree', 'SpliceBlob']) {
      const code = await statusOf(`/build.bazel.remote.execution.v2.ContentAddressableStorage/${rpc}`, bomb, 'main');
      expect([status.OK, status.INTERNAL, status.INVALID_ARGUMENT]).toContain(code); // some are messages after all
    }
  }
  expect(await isUp()).toBe(true);
});

test('a batch of damaged zstd refuses its blobs one by one', async () => {
  const law = fc.asyncProperty(
    fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
    fc.nat(),
    fc.nat(255),
    fc.nat(),
    async (plain, at, bits, cut) => {
      const data = zstdCompressSync(plain);
      const whole = Buffer.from(data);
      whole[at % whole.byteLength] = (whole[at % whole.byteLength] ?? 0) ^ bits;
      const sent = whole.subarray(0, cut % 3 === 0 ? cut % whole.byteLength : whole.byteLength);
      const name = { hash: hashOf(digestOf(plain)), sizeBytes: plain.byteLength };
      const using = v2.BatchUpdateBlobsRequest.serialize({
        instanceName: 'web/main',
        requests: [{ digest: name, data: sent, compressor: 'ZSTD' }],
      });
      const path = '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs';
      expect(await statusOf(path, using, 'main')).toBe(status.OK);
      const { hash, sizeBytes } = name;
      const reading = v2.BatchReadBlobsRequest.serialize({ instanceName: 'web/main', digests: [{ hash, sizeBytes }] });
      expect(await statusOf(path.replace('Update', 'Read'), reading, 'main')).toBe(status.OK); // what is there is checked as it is read
    },
  );
  await fc.assert(law, { numRuns: 60 });
  expect(plane.env.log.entries.filter(({ event }) => event === 'call-failed')).toEqual([]);
});

describe('a connection of HTTP/2', () => {
  /** What a client of gRPC sends first, as bytes. */
  async function recorded(): Promise<Buffer> {
    const parts: Buffer[] = [];
    const server = createServer((socket) => socket.on('data', (part: Buffer) => parts.push(part)).on('error', () => {}));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const session = connectHttp2(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    session.on('error', () => {});
    const headers = { ':method': 'POST', ':path': PATHS[0], 'content-type': 'application/grpc', authorization: 'Bearer main' };
    const stream = session.request(headers);
    stream.on('error', () => {});
    const message = randomBytes(100);
    stream.write(Buffer.concat([Buffer.from('0000000064', 'hex'), message]));
    await until('all of it was sent', () => Buffer.concat(parts).includes(message));
    session.destroy();
    server.close();
    return Buffer.concat(parts);
  }

  test('that is cut or damaged anywhere ends alone', async () => {
    const bytes = await recorded();
    const [host = '', port = '0'] = plane.address.split(':');
    const law = fc.asyncProperty(fc.nat(bytes.byteLength), fc.nat(bytes.byteLength - 1), fc.nat(255), async (length, at, bits) => {
      const sent = Buffer.from(bytes);
      sent[at] = (sent[at] ?? 0) ^ bits;
      await new Promise<void>((resolve) => {
        const socket = connectTcp(Number(port), host, () => socket.end(sent.subarray(0, length)));
        socket.on('error', () => {});
        socket.on('close', () => resolve());
        socket.resume();
      });
    });
    await fc.assert(law, { numRuns: 60 });
    expect(await isUp()).toBe(true);
  });
});
