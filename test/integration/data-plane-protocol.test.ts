import { createHash, randomBytes, randomUUID } from 'node:crypto';
import zlib from 'node:zlib';
import { Metadata, type Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EMPTY_DIGEST, digestOf, hashOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { buildTree } from '../../cache/tree/build.ts';
import { callClientStream, callServerStream, callUnary, dial } from '../../proto/dial.ts';
import type { WriteRequest } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { loadProto } from '../../proto/load.ts';
import { expectFault } from '../contract/blob-store.ts';
import { viewIn } from '../contract/store-of.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../fixtures/data-plane.ts';

/*
 * The data plane as clients of the Remote Execution API see it: plain calls, no client code of ours.
 */

const v2 = loadProto().build.bazel.remote.execution.v2;
const { signal } = new AbortController();
const options = { signal };
let plane: TestDataPlane;
const clients: Client[] = [];

beforeAll(async () => {
  plane = await openTestDataPlane();
});
afterAll(async () => {
  for (const client of clients) client.close();
  await plane[Symbol.asyncDispose]();
});

function opened<C extends Client>(client: C): C {
  clients.push(client);
  return client;
}
const cas = (who: Who = 'main') => opened(dial(v2.ContentAddressableStorage, plane.link(who), 'bulk'));
const bytesOf = (who: Who = 'main') => opened(dial(loadProto().google.bytestream.ByteStream, plane.link(who), 'bulk'));
const toProto = (digest: Digest) => ({ hash: hashOf(digest), sizeBytes: String(sizeOf(digest)) });

async function* messages(...list: WriteRequest[]): AsyncGenerator<WriteRequest, void, undefined> {
  yield* list;
}

async function write(name: string, ...list: WriteRequest[]): Promise<string> {
  const [first, ...rest] = list;
  const answer = await callClientStream(bytesOf(), 'write', messages({ resourceName: name, ...first }, ...rest), options);
  return answer.committedSize;
}

async function read(resourceName: string, request: { readOffset?: number; readLimit?: number } = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const { data } of callServerStream(bytesOf(), 'read', { resourceName, ...request }, options)) chunks.push(Buffer.from(data));
  return Buffer.concat(chunks);
}

async function query(resourceName: string): Promise<[string, boolean]> {
  const answer = await callUnary(bytesOf(), 'queryWriteStatus', { resourceName }, options);
  return [answer.committedSize, answer.complete];
}

const plainName = (digest: Digest, uuid: string = randomUUID(), instance = 'web/') =>
  `${instance}uploads/${uuid}/blobs/${hashOf(digest)}/${sizeOf(digest)}`;
const zstdName = (digest: Digest, uuid: string = randomUUID()) =>
  `web/uploads/${uuid}/compressed-blobs/zstd/${hashOf(digest)}/${sizeOf(digest)}`;
const readName = (digest: Digest, form = 'blobs') => `web/${form}/${hashOf(digest)}/${sizeOf(digest)}`;

async function stored(bytes: Uint8Array): Promise<Digest> {
  await plane.disk.storeOf(viewIn('web', 'main')).put(digestOf(bytes), bytes, signal);
  return digestOf(bytes);
}

describe('ByteStream.Write', () => {
  test('takes a blob in pieces, with a finish in an empty message, and ignores what follows the size', async () => {
    const bytes = randomBytes(100_000);
    const pieces = [0, 30_000, 60_000].map((at, index) => ({
      writeOffset: at,
      data: bytes.subarray(at, index === 2 ? undefined : at + 30_000),
    }));
    expect(await write(`${plainName(digestOf(bytes))}/some/file.txt`, ...pieces, { writeOffset: 100_000, finishWrite: true })).toBe(
      '100000',
    );
    expect((await read(readName(digestOf(bytes)))).equals(bytes)).toBe(true);
  });

  test('answers at once where the blob is there: its size, and -1 for a compressed one', async () => {
    const bytes = randomBytes(2_000_000);
    const digest = await stored(bytes);
    expect(await write(plainName(digest), { data: bytes.subarray(0, 1_000), writeOffset: 0 })).toBe('2000000');
    expect(await write(zstdName(digest), { data: Buffer.from('whatever'), writeOffset: 0 })).toBe('-1');
    expect(await query(plainName(digest))).toEqual(['2000000', true]);
  });

  test('an early answer stalls no other stream of the connection', async () => {
    const bytes = randomBytes(48 * 1024 * 1024);
    const digest = await stored(bytes);
    const client = bytesOf();
    const flood = async function* () {
      for (let at = 0; at < bytes.byteLength; at += 1024 * 1024) {
        yield { ...(at === 0 ? { resourceName: plainName(digest) } : {}), writeOffset: at, data: bytes.subarray(at, at + 1024 * 1024) };
      }
    };
    const small = await stored(randomBytes(3_000_000));
    for (let round = 0; round < 6; round += 1) {
      expect((await callClientStream(client, 'write', flood(), options)).committedSize).toBe(String(bytes.byteLength));
    }
    let got = 0;
    for await (const { data } of callServerStream(client, 'read', { resourceName: readName(small) }, options)) got += data.byteLength;
    expect(got).toBe(3_000_000);
    const fresh = randomBytes(6_000_000);
    const answer = callClientStream(
      client,
      'write',
      messages(
        { resourceName: plainName(digestOf(fresh)), data: fresh.subarray(0, 3_000_000), writeOffset: 0 },
        { data: fresh.subarray(3_000_000), writeOffset: 3_000_000, finishWrite: true },
      ),
      options,
    );
    expect((await answer).committedSize).toBe('6000000');
  });

  test('refuses other bytes, gaps, a missing finish and data after it, and shows none of them', async () => {
    const bytes = randomBytes(300_000);
    const digest = digestOf(bytes);
    const wrong = Buffer.from(bytes);
    wrong[0] = (wrong[0] ?? 0) ^ 1;
    const half = bytes.subarray(0, 150_000);
    await expectFault('DIGEST_MISMATCH', write(plainName(digest), { data: wrong, writeOffset: 0, finishWrite: true }));
    await expectFault(
      'DIGEST_MISMATCH',
      write(plainName(digest), { data: wrong, writeOffset: 0 }, { writeOffset: 300_000, finishWrite: true }),
    );
    await expectFault(
      'DIGEST_MISMATCH',
      write(plainName(digest), { data: half, writeOffset: 0 }, { writeOffset: 150_000, finishWrite: true }),
    );
    await expectFault('BAD_REQUEST', write(plainName(digest), { data: half, writeOffset: 0 }, { data: half, writeOffset: 140_000 }));
    await expectFault('BAD_REQUEST', write(plainName(digest), { data: half, writeOffset: 7 }));
    await expectFault('BAD_REQUEST', write(plainName(digest), { data: half, writeOffset: 0 }));
    await expectFault('BAD_REQUEST', write('web/blobs/x/y', { data: half, writeOffset: 0 }));
    const missing = await callUnary(cas(), 'findMissingBlobs', { instanceName: 'web', blobDigests: [toProto(digest)] }, options);
    expect(missing.missingBlobDigests).toHaveLength(1);
    expect(await query(plainName(digest))).toEqual(['0', false]);
  });

  test('goes on where a broken connection stopped', async () => {
    const bytes = randomBytes(3_000_000);
    const digest = digestOf(bytes);
    const uuid = randomUUID();
    const broken = new AbortController();
    const first = async function* () {
      yield { resourceName: plainName(digest, uuid), writeOffset: 0, data: bytes.subarray(0, 1_000_000) };
      yield { writeOffset: 1_000_000, data: bytes.subarray(1_000_000, 2_000_000) };
      for (;;) {
        const [offset] = await query(plainName(digest, uuid));
        if (offset === '2000000') break;
      }
      broken.abort();
      yield { writeOffset: 2_000_000, data: bytes.subarray(2_000_000) };
    };
    await expect(callClientStream(bytesOf(), 'write', first(), { signal: broken.signal })).rejects.toThrow();
    const [offset, complete] = await query(plainName(digest, uuid));
    expect([offset, complete]).toEqual(['2000000', false]);
    expect(await query(plainName(digest))).toEqual(['0', false]);
    const at = Number(offset);
    const resume = () =>
      write(plainName(digest, uuid), { writeOffset: at, data: bytes.subarray(at) }, { writeOffset: 3_000_000, finishWrite: true });
    // The server learns of the break in its own time; until then the upload belongs to the broken call.
    for (let left = 100; left > 0; left -= 1) {
      const answer = await resume().catch(() => undefined);
      if (answer === '3000000') break;
    }
    expect((await read(readName(digest))).equals(bytes)).toBe(true);
  });

  test('moon: one upload id for different blobs at the same time', async () => {
    const blobs = Array.from({ length: 8 }, () => randomBytes(200_000));
    const uuid = randomUUID();
    const pieces = (bytes: Buffer) => [
      { data: bytes.subarray(0, 100_000), writeOffset: 0 },
      { data: bytes.subarray(100_000), writeOffset: 100_000 },
      { writeOffset: 200_000, finishWrite: true },
    ];
    const answers = await Promise.all(blobs.map((bytes) => write(plainName(digestOf(bytes), uuid), ...pieces(bytes))));
    expect(new Set(answers)).toEqual(new Set(['200000']));
    for (const bytes of blobs) expect((await read(readName(digestOf(bytes)))).equals(bytes)).toBe(true);
  });

  test('the same blob under the same id twice at the same time', async () => {
    const bytes = randomBytes(900_000);
    const uuid = randomUUID();
    const twice = [0, 1].map(() =>
      write(
        plainName(digestOf(bytes), uuid),
        { data: bytes.subarray(0, 500_000), writeOffset: 0 },
        { data: bytes.subarray(500_000), writeOffset: 500_000, finishWrite: true },
      ),
    );
    expect(await Promise.all(twice)).toEqual(['900000', '900000']);
  });

  test('moon: names of the empty instance that begin with a slash', async () => {
    const bytes = randomBytes(1_000);
    expect(await write(plainName(digestOf(bytes), randomUUID(), '/'), { data: bytes, writeOffset: 0, finishWrite: true })).toBe('1000');
    expect((await read(`/blobs/${hashOf(digestOf(bytes))}/1000`)).equals(bytes)).toBe(true);
  });

  test('takes the empty blob, and reads it', async () => {
    expect(await write(plainName(EMPTY_DIGEST), { writeOffset: 0, finishWrite: true })).toBe('0');
    expect((await read(readName(EMPTY_DIGEST))).byteLength).toBe(0);
    expect(zlib.zstdDecompressSync(await read(readName(EMPTY_DIGEST, 'compressed-blobs/zstd'))).byteLength).toBe(0);
  });
});

describe('compressed blobs', () => {
  const text = Buffer.from('all work and no play '.repeat(50_000));

  test('come in many frames in one message, and the answer counts compressed bytes', async () => {
    const bytes = Buffer.concat([text, randomBytes(10)]);
    const frames = Buffer.concat([zlib.zstdCompressSync(bytes.subarray(0, 400_000)), zlib.zstdCompressSync(bytes.subarray(400_000))]);
    const committed = await write(zstdName(digestOf(bytes)), { data: frames, writeOffset: 0, finishWrite: true });
    expect(committed).toBe(String(frames.byteLength));
    expect((await read(readName(digestOf(bytes)))).equals(bytes)).toBe(true);
  });

  test('are refused when damaged, truncated, of another digest or too long', async () => {
    const bytes = Buffer.concat([text, randomBytes(10)]);
    const name = zstdName(digestOf(bytes));
    const frame = zlib.zstdCompressSync(bytes);
    await expectFault('BAD_REQUEST', write(name, { data: frame.subarray(0, -5), writeOffset: 0, finishWrite: true }));
    await expectFault('BAD_REQUEST', write(name, { data: bytes, writeOffset: 0, finishWrite: true }));
    await expectFault('DIGEST_MISMATCH', write(name, { data: zlib.zstdCompressSync(text), writeOffset: 0, finishWrite: true }));
    await expectFault(
      'DIGEST_MISMATCH',
      write(name, { data: zlib.zstdCompressSync(Buffer.alloc(80_000_000)), writeOffset: 0, finishWrite: true }),
    );
    await expectFault('BAD_REQUEST', write(name, { data: frame, writeOffset: 10, finishWrite: true }));
    expect(await query(name)).toEqual(['0', false]);
  });

  test('are read from an offset that counts uncompressed bytes', async () => {
    const digest = await stored(text);
    for (const readOffset of [0, 1, 777_777, text.byteLength]) {
      const compressed = await read(readName(digest, 'compressed-blobs/zstd'), { readOffset });
      expect(zlib.zstdDecompressSync(compressed).equals(text.subarray(readOffset))).toBe(true);
    }
    await expectFault('BAD_REQUEST', read(readName(digest, 'compressed-blobs/zstd'), { readLimit: 5 }));
  });

  test.for([
    ['bazel', '5.0.0', 'sent'],
    ['bazel', '6.4.0', '-1'],
    ['siso', '1.0', 'size'],
  ] as const)('%s %s gets the committed size that it believes for a blob that is there', async ([toolName, toolVersion, expected]) => {
    const bytes = randomBytes(5_000);
    const digest = await stored(bytes);
    const frame = zlib.zstdCompressSync(bytes);
    const metadata = new Metadata();
    metadata.set('authorization', 'Bearer main');
    metadata.set(
      'build.bazel.remote.execution.v2.requestmetadata-bin',
      v2.RequestMetadata.serialize({ toolDetails: { toolName, toolVersion } }),
    );
    const client = opened(dial(loadProto().google.bytestream.ByteStream, { address: plane.address, token: undefined }, 'bulk'));
    const committed = await new Promise<string | undefined>((resolve, reject) => {
      const call = client.write(metadata, (error, answer) => (error === null ? resolve(answer?.committedSize) : reject(error)));
      call.write({ resourceName: zstdName(digest), data: frame, writeOffset: 0, finishWrite: true });
      call.end();
    });
    expect(committed).toBe({ sent: String(frame.byteLength), '-1': '-1', size: '5000' }[expected]);
  });
});

describe('ByteStream.Read', () => {
  test('honours offset and limit, and says where the end is', async () => {
    const bytes = randomBytes(2_500_000);
    const digest = await stored(bytes);
    expect((await read(readName(digest), { readOffset: 2_000_000 })).equals(bytes.subarray(2_000_000))).toBe(true);
    expect((await read(readName(digest), { readOffset: 10, readLimit: 20 })).equals(bytes.subarray(10, 30))).toBe(true);
    expect((await read(readName(digest), { readOffset: 2_500_000 })).byteLength).toBe(0);
    for (const readOffset of [2_500_001, -1]) await expectFault('OUT_OF_RANGE', read(readName(digest), { readOffset }));
    await expectFault('BLOB_UNKNOWN', read(readName(digestOf(randomBytes(10)))));
    await expectFault('UNIMPLEMENTED', read(`web/blobs/blake3/${hashOf(digest)}/1`));
    await expectFault('UNIMPLEMENTED', read(readName(digest, 'compressed-blobs/deflate')));
  });
});

describe('batches', () => {
  const update = (requests: { digest: Digest; data: Uint8Array; compressor?: 'ZSTD' }[]) =>
    callUnary(
      cas(),
      'batchUpdateBlobs',
      { instanceName: 'web', requests: requests.map((one) => ({ ...one, digest: toProto(one.digest) })) },
      options,
    );

  test('one wrong blob does not fail the others', async () => {
    const [good, zipped, bad] = [randomBytes(100), Buffer.alloc(5_000, 'z'), randomBytes(100)];
    const answer = await update([
      { digest: digestOf(good), data: good },
      { digest: digestOf(bad), data: good },
      { digest: digestOf(zipped), data: zlib.zstdCompressSync(zipped), compressor: 'ZSTD' },
    ]);
    expect(answer.responses.map((response) => response.status?.code)).toEqual([0, 3, 0]);
    const digests = [good, bad, zipped, good].map((bytes) => toProto(digestOf(bytes)));
    const found = await callUnary(cas(), 'batchReadBlobs', { instanceName: 'web', digests, acceptableCompressors: ['ZSTD'] }, options);
    expect(found.responses.map((response) => response.status?.code)).toEqual([0, 5, 0, 0]);
    expect(found.responses[2]?.data.equals(zipped)).toBe(true);
  });

  test('over the advertised limit are refused whole, with the limit', async () => {
    const capabilities = await callUnary(
      opened(dial(v2.Capabilities, plane.link('main'), 'control')),
      'getCapabilities',
      { instanceName: 'web' },
      options,
    );
    const limit = Number(capabilities.cacheCapabilities?.maxBatchTotalSizeBytes);
    expect(limit).toBeGreaterThan(1024 * 1024);
    expect(limit).toBeLessThan(4 * 1024 * 1024);
    const exact = randomBytes(limit);
    expect((await update([{ digest: digestOf(exact), data: exact }])).responses[0]?.status?.code).toBe(0);
    const more = randomBytes(1);
    await expect(
      update([
        { digest: digestOf(exact), data: exact },
        { digest: digestOf(more), data: more },
      ]),
    ).rejects.toThrow(String(limit));
    const digests = [toProto(digestOf(exact)), toProto(digestOf(more))];
    await expectFault('BAD_REQUEST', callUnary(cas(), 'batchReadBlobs', { instanceName: 'web', digests }, options));
  });

  test('answers stay below 4 MiB, also with very many tiny blobs and with repeats', async () => {
    const blobs = Array.from({ length: 5_600 }, (_, index) => Buffer.alloc(650, String(index)));
    for (const bytes of blobs) await stored(bytes);
    const request = { instanceName: 'web', digests: blobs.map((bytes) => toProto(digestOf(bytes))) };
    const answer = await callUnary(cas(), 'batchReadBlobs', request, options);
    expect(v2.BatchReadBlobsResponse.serialize(answer).byteLength).toBeLessThan(4 * 1024 * 1024);
    expect(new Set(answer.responses.map((response) => response.status?.code))).toEqual(new Set([0, 8]));
    const repeated = { instanceName: 'web', digests: Array.from({ length: 20 }, () => toProto(digestOf(Buffer.alloc(1_000_000)))) };
    await stored(Buffer.alloc(1_000_000));
    const repeats = await callUnary(cas(), 'batchReadBlobs', repeated, options);
    expect(v2.BatchReadBlobsResponse.serialize(repeats).byteLength).toBeLessThan(4 * 1024 * 1024);
  });

  test('answers stay below 4 MiB where nothing is there, and more blobs than fit into one are refused', async () => {
    const nowhere = (count: number) => Array.from({ length: count }, (_, index) => toProto(digestOf(Buffer.from(`nowhere ${index}`))));
    const large = await stored(randomBytes(3_000_000));
    const answer = await callUnary(
      cas(),
      'batchReadBlobs',
      { instanceName: 'web', digests: [toProto(large), ...nowhere(20_000)] },
      options,
    );
    expect(v2.BatchReadBlobsResponse.serialize(answer).byteLength).toBeLessThan(4 * 1024 * 1024);
    expect(new Set(answer.responses.slice(1).map((response) => response.status?.code))).toEqual(new Set([5]));
    expect(answer.responses[1]?.status?.message).not.toBe('');
    await expectFault('BAD_REQUEST', callUnary(cas(), 'batchReadBlobs', { instanceName: 'web', digests: nowhere(40_001) }, options));
  });

  test('malformed digests are refused by field', async () => {
    const ask = (hash: string, sizeBytes: number) =>
      callUnary(cas(), 'findMissingBlobs', { instanceName: 'web', blobDigests: [{ hash, sizeBytes }] }, options);
    const hash = createHash('sha256').update('x').digest('hex');
    await expect(ask(hash.toUpperCase(), 1)).rejects.toThrow('blob_digests[0]');
    await expectFault('BAD_REQUEST', ask(hash.slice(1), 1));
    await expectFault('BAD_REQUEST', ask(hash, -1));
    await expectFault('BAD_REQUEST', ask(hash, 0));
    const blake = callUnary(cas(), 'findMissingBlobs', { instanceName: 'web', blobDigests: [], digestFunction: 'BLAKE3' }, options);
    await expectFault('BAD_REQUEST', blake);
  });
});

describe('GetTree', () => {
  async function pages(root: Digest, request: { pageSize?: number; pageToken?: string } = {}) {
    const found = [];
    for await (const page of callServerStream(cas(), 'getTree', { instanceName: 'web', rootDigest: toProto(root), ...request }, options))
      found.push(page);
    return found;
  }

  test('gives each directory once, in pages that can be taken up, and leaves out missing ones', async () => {
    const entries = Array.from({ length: 30 }, (_, index) => ({
      kind: 'directory' as const,
      path: `d${index}/${index % 3 === 0 ? 'same' : `own${index}`}`,
    }));
    const tree = buildTree(entries);
    for (const bytes of tree.encoded.values()) await stored(bytes);
    const found = await pages(tree.root, { pageSize: 10 });
    expect(found.flatMap((page) => page.directories)).toHaveLength(tree.directories.size);
    expect(Math.max(...found.map((page) => page.directories.length))).toBe(10);
    const rest = await pages(tree.root, { pageSize: 10, pageToken: found[0]?.nextPageToken ?? '' });
    expect(rest.flatMap((page) => page.directories)).toEqual(found.slice(1).flatMap((page) => page.directories));
    const partial = buildTree([
      { kind: 'directory', path: 'gone/x' },
      { kind: 'symlink', path: 'l', target: 't' },
    ]);
    await stored(partial.encoded.get(partial.root) ?? Buffer.alloc(0));
    expect((await pages(partial.root)).flatMap((page) => page.directories)).toHaveLength(1);
    await expectFault('BLOB_UNKNOWN', pages(digestOf(randomBytes(9))));
    await expectFault('BAD_REQUEST', pages(tree.root, { pageToken: 'x' }));
  });
});
