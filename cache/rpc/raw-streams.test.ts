import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { silentLogger } from '../../base/log.ts';
import type { ReadRequest__Output } from '../../proto/gen/google/bytestream/ReadRequest.ts';
import type { WriteRequest__Output } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { clientStream, serverStream, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { serve, type RunningServer } from '../../proto/serve.ts';
import { grpcFrame } from '../../test/bench/reapi/grpc-load.ts';
import { anybody } from '../../test/fixtures/anybody.ts';
import { READ_RESPONSE } from './byte-stream-service.ts';
import { WriteAssembler } from './write-assembler.ts';

/*
 * Calls of ByteStream past grpc-js beside the same ones by grpc-js, which has any call that might be compressed.
 */

const { service } = loadProto().google.bytestream.ByteStream;
const env = { log: silentLogger, clock: systemClock };

/** What the rpc does is told by the resource name of the first message. */
async function write(requests: AsyncIterable<WriteRequest__Output>, call: Call): Promise<{ committedSize: number }> {
  let name: string | undefined;
  let bytes = 0;
  for await (const { resourceName, data } of requests) {
    name ??= resourceName;
    bytes += data.byteLength;
    if (name === 'fault') throw new Fault('DIGEST_MISMATCH', 'Blob ä has other bytes', { field: 'data', hint: 'Send it again.' });
    if (name === 'bug') throw new TypeError('secret');
    if (name === 'tell') call.tell('told', 'yes');
    if (name === 'early') return { committedSize: -1 };
    if (name === 'wait') await new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)));
  }
  return { committedSize: bytes };
}

async function* read({ resourceName }: ReadRequest__Output, call: Call): AsyncGenerator<{ data: Uint8Array }> {
  if (resourceName === 'fault') throw new Fault('BLOB_UNKNOWN', 'Blob ä is not there', { field: 'resource_name', hint: 'Upload it.' });
  if (resourceName === 'empty') return;
  yield { data: Buffer.alloc(100_000, 'a') };
  if (resourceName === 'late fault') throw new Fault('BLOB_CORRUPT', 'Its end is wrong');
  if (resourceName === 'abort') call.abort(new Fault('FORBIDDEN', 'No longer'));
  if (resourceName === 'wait') await new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)));
  yield { data: Buffer.alloc(300_000, 'b') };
}

let server: RunningServer;
let session: ClientHttp2Session;
beforeAll(async () => {
  const handlers = { Write: clientStream(env, 'Write', write), Read: serverStream(env, 'Read', read, READ_RESPONSE) };
  const raw = { uploads: { Write: () => new WriteAssembler() }, reads: ['Read'] };
  const services = [{ definition: service, handlers, raw }];
  server = await serve({ listen: '127.0.0.1:0', services, authenticator: anybody(), env, drainMs: 100 });
  session = connect(`http://${server.address}`);
});
afterAll(async () => {
  session.destroy();
  await server[Symbol.asyncDispose]();
});

const BY_GRPC_JS = { 'grpc-encoding': 'gzip' };
type Outcome = { readonly headers: IncomingHttpHeaders; readonly body: Buffer };

/** Sends the pieces, each as a frame of HTTP/2 of its own, and takes what comes. Without an end where the client waits for an answer. */
async function outcomeOf(
  path: string,
  pieces: readonly Buffer[],
  headers: Readonly<Record<string, string>>,
  ends = true,
): Promise<Outcome> {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
  const body: Buffer[] = [];
  let all: IncomingHttpHeaders = {};
  const note = (some: IncomingHttpHeaders) => (all = { ...all, ...some });
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => body.push(chunk));
  const answered = new Promise<void>((resolve) => stream.on('end', resolve));
  const closed = new Promise<void>((resolve) => stream.on('close', resolve));
  for (const piece of pieces) {
    stream.write(piece);
    if (pieces.length > 1) await new Promise<void>((resolve) => void session.ping(() => resolve()));
  }
  if (!ends) await answered;
  stream.end();
  await closed;
  return { headers: all, body: Buffer.concat(body) };
}

function told({ headers, body }: Outcome) {
  const picked = ['grpc-status', 'grpc-status-details-bin', 'told', ':status', 'content-type'].map((name) => headers[name]);
  return { picked, message: headers['grpc-status'] === '0' ? '' : headers['grpc-message'], body: body.toString('base64') };
}

async function sameBothWays(path: string, pieces: readonly Buffer[], headers: Readonly<Record<string, string>> = {}, ends = true) {
  const raw = await outcomeOf(path, pieces, headers, ends);
  const usual = await outcomeOf(path, pieces, { ...headers, ...BY_GRPC_JS }, ends);
  expect(told(raw)).toEqual(told(usual));
  if (raw.headers['grpc-status'] === '0' && raw.body.byteLength > 0)
    expect([raw.headers['grpc-accept-encoding'], usual.headers['grpc-accept-encoding']]).toEqual([undefined, expect.any(String)]);
  return Number(raw.headers['grpc-status']);
}

const writing = (resourceName: string, ...sizes: readonly number[]) =>
  sizes.map((size, index) =>
    grpcFrame(service.Write.requestSerialize({ resourceName: index === 0 ? resourceName : '', data: Buffer.alloc(size, 'x') })),
  );

test.for([
  ['one message', writing('x', 5), {}, status.OK],
  ['several messages', writing('x', 5, 400_000, 0, 70_000), {}, status.OK],
  ['byte by byte', writing('x', 5, 6).flatMap((frame) => [...frame].map((byte) => Buffer.from([byte]))), {}, status.OK],
  ['no message', [], {}, status.OK],
  ['an empty message', [Buffer.alloc(5)], {}, status.OK],
  ['half a message after a whole one', writing('x', 5, 900).map((frame) => frame.subarray(0, 300)), {}, status.OK],
  ['metadata of the answer', writing('tell', 5), {}, status.OK],
  ['a fault', writing('fault', 5, 100_000), {}, status.INVALID_ARGUMENT],
  ['a bug', writing('bug', 5), {}, status.INTERNAL],
  ['a deadline that passes', writing('wait', 5), { 'grpc-timeout': '20m' }, status.DEADLINE_EXCEEDED],
  ['bytes that are no message', [grpcFrame(Buffer.alloc(12, 0xff))], {}, status.INTERNAL],
] as const)('Write, %s: answered as by grpc-js', async ([, pieces, headers, code]) => {
  expect(await sameBothWays(service.Write.path, pieces, headers)).toBe(code);
});

test('an answer, or a refusal, before the client has ended is not kept from it', async () => {
  expect(await sameBothWays(service.Write.path, writing('early', 5, 50_000), {}, false)).toBe(status.OK);
  expect(await sameBothWays(service.Write.path, writing('fault', 5, 50_000), {}, false)).toBe(status.INVALID_ARGUMENT);
});

test('a message that is too large is refused with the status of grpc-js', async () => {
  const pieces = [Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3])];
  const raw = await outcomeOf(service.Write.path, pieces, {});
  const usual = await outcomeOf(service.Write.path, pieces, BY_GRPC_JS);
  expect([raw.headers['grpc-status'], raw.headers['grpc-message']]).toEqual([
    String(status.RESOURCE_EXHAUSTED),
    usual.headers['grpc-message'],
  ]);
});

test.for([
  ['x', {}, status.OK],
  ['empty', {}, status.OK],
  ['fault', {}, status.NOT_FOUND],
  ['late fault', {}, status.DATA_LOSS],
  ['abort', {}, status.PERMISSION_DENIED],
  ['wait', { 'grpc-timeout': '20m' }, status.DEADLINE_EXCEEDED],
] as const)('Read, %s: answered as by grpc-js', async ([resourceName, headers, code]) => {
  expect(await sameBothWays(service.Read.path, [grpcFrame(service.Read.requestSerialize({ resourceName }))], headers)).toBe(code);
});
