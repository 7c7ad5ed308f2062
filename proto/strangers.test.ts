import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDataPlane, type TestDataPlane } from '../test/fixtures/data-plane.ts';

const MIB = 1024 * 1024;
const UPLOAD = '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs';
const UNAUTHENTICATED = '16';
let plane: TestDataPlane;
let session: ClientHttp2Session;

beforeAll(async () => {
  plane = await openTestDataPlane();
  session = connect(`http://${plane.address}`);
});
afterAll(async () => {
  session.destroy();
  await plane[Symbol.asyncDispose]();
});

/** Begins a message of a megabyte, sends so much of it and ends it not; what the server says of it, and bytes that it took. */
async function begun(path: string, bytes: number, token?: string): Promise<{ readonly status: unknown; readonly taken: number }> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(MIB, 1);
  let headers: IncomingHttpHeaders = {};
  stream.on('response', (first) => (headers = first));
  stream.on('trailers', (last: IncomingHttpHeaders) => (headers = { ...headers, ...last }));
  stream.on('error', () => {});
  stream.resume();
  const closed = new Promise<void>((resolve) => stream.on('close', resolve));
  const sent = new Promise<void>((resolve) => void stream.write(Buffer.concat([head, Buffer.alloc(bytes)]), () => resolve()));
  await Promise.race([closed, sent]);
  // The answer to a ping comes after what the server has said of the bytes before it.
  for (let round = 0; round < 5; round += 1) await new Promise<void>((resolve) => void session.ping(() => resolve()));
  const { closed: isClosed } = stream;
  stream.close();
  await closed;
  return { status: headers['grpc-status'], taken: isClosed ? 0 : bytes };
}

test('a message of somebody unknown is not put together', async () => {
  expect(await begun(UPLOAD, 200 * 1024)).toEqual({ status: UNAUTHENTICATED, taken: 0 });
  expect(await begun(UPLOAD, 200 * 1024, 'no-such-token')).toEqual({ status: UNAUTHENTICATED, taken: 0 });
  expect(await begun('/no.such.Service/Method', 200 * 1024)).toMatchObject({ taken: 0 });
  expect(await begun('/grpc.health.v1.Health/Check', 200 * 1024)).toEqual({ status: UNAUTHENTICATED, taken: 0 });
});

test('that somebody else is known on the same connection changes nothing', async () => {
  expect(await begun(UPLOAD, 200 * 1024, 'main')).toEqual({ status: undefined, taken: 200 * 1024 });
  expect(await begun(UPLOAD, 200 * 1024)).toEqual({ status: UNAUTHENTICATED, taken: 0 });
  expect(await begun(UPLOAD, 200 * 1024, 'no-such-token')).toEqual({ status: UNAUTHENTICATED, taken: 0 });
});
