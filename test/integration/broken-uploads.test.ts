import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf, hashOf, sizeOf } from '../../cache/digest.ts';
import { callClientStream, callServerStream, callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { grpcFrame } from '../bench/reapi/grpc-load.ts';
import { openTestDataPlane, type TestDataPlane } from '../fixtures/data-plane.ts';
import { until } from '../fixtures/until.ts';

/*
 * Uploads that a client breaks off, at any byte and in any way: what the server said that it has, it goes on to have.
 */

const { ByteStream } = loadProto().google.bytestream;
const { signal } = new AbortController();
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

const PIECE_BYTES = 20_000;
const PIECES = 4;
const BREAKS = {
  // What a client of Node does, which sends the end of its side first.
  cancelled: (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_CANCEL),
  'ended early': (stream: ClientHttp2Stream) => void stream.end(),
  'ended, and cancelled much later': (stream: ClientHttp2Stream, session: ClientHttp2Session) => {
    stream.end();
    session.ping(() => stream.close(constants.NGHTTP2_CANCEL));
  },
  'an error of its own': (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
  'connection destroyed': (_: ClientHttp2Stream, session: ClientHttp2Session) => session.destroy(),
  'connection cut': (_: ClientHttp2Stream, session: ClientHttp2Session) => void session.socket.destroy(),
} as const;

/** A call by an implementation of gRPC of its own: past grpc-js on the server, or with the header by grpc-js. */
const WAYS = { 'past grpc-js': {}, 'by grpc-js': { 'grpc-encoding': 'gzip' } } as const;

/** Bytes after which a client may break off, of the wire: around the ends of messages, in prefixes, fields and data. */
function cuts(frameBytes: number): readonly number[] {
  const ofMessage = [0, 1, 4, 5, 6, 70, frameBytes >> 1, frameBytes - 1];
  return Array.from({ length: PIECES }, (_, index) => ofMessage.map((at) => index * frameBytes + at)).flat();
}

async function goesOnAfter(way: keyof typeof WAYS, how: keyof typeof BREAKS, nth: number): Promise<void> {
  const bytes = randomBytes(PIECES * PIECE_BYTES);
  const digest = digestOf(bytes);
  const resourceName = `web/uploads/${randomUUID()}/blobs/${hashOf(digest)}/${sizeOf(digest)}`;
  const frames = Array.from({ length: PIECES }, (_, index) => {
    const [at, end] = [index * PIECE_BYTES, (index + 1) * PIECE_BYTES];
    return grpcFrame(ByteStream.service.Write.requestSerialize({ resourceName, writeOffset: at, data: bytes.subarray(at, end) }));
  });
  const ends = frames.map((_, index) => Buffer.concat(frames.slice(0, index + 1)).byteLength);
  const wire = Buffer.concat(frames).subarray(0, cuts(frames[1]?.byteLength ?? 0)[nth]);
  const came = ends.filter((end) => end <= wire.byteLength).length * PIECE_BYTES;
  const session = connect(`http://${plane.address}`);
  session.on('error', () => {});
  await once(session, 'connect');
  const stream = session.request({
    ':method': 'POST',
    ':path': ByteStream.service.Write.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: 'Bearer main',
    ...WAYS[way],
  });
  stream.on('error', () => {});
  stream.resume();
  stream.write(wire);
  const place = async () => Number((await callUnary(client, 'queryWriteStatus', { resourceName }, { signal })).committedSize);
  await until(`the server has ${came} bytes`, async () => (await place()) >= came);
  BREAKS[how](stream, session);
  // Until the server has learned of the break the upload belongs to the broken call; at no time is it forgotten.
  const size = await until('the upload goes on', async () => {
    const at = await place();
    expect(at).toBeGreaterThanOrEqual(came);
    const rest = async function* () {
      yield { resourceName, writeOffset: at, data: bytes.subarray(at), finishWrite: true };
    };
    const answer = await callClientStream(client, 'write', rest(), { signal }).catch(() => undefined);
    return answer?.committedSize;
  });
  expect(size).toBe(String(bytes.byteLength));
  const chunks: Buffer[] = [];
  const name = `web/blobs/${hashOf(digest)}/${sizeOf(digest)}`;
  for await (const { data } of callServerStream(client, 'read', { resourceName: name }, { signal })) chunks.push(Buffer.from(data));
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  session.destroy();
}

const CUTS = cuts(100).length;
test.for(Object.keys(WAYS).flatMap((way) => Object.keys(BREAKS).map((how) => [way, how] as [keyof typeof WAYS, keyof typeof BREAKS])))(
  '%s, %s: an upload goes on where it was, wherever that happens',
  async ([way, how]) => {
    await Promise.all(Array.from({ length: CUTS }, (_, nth) => goesOnAfter(way, how, nth)));
  },
);
