import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Authenticator } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { silentLogger } from '../base/log.ts';
import { anybody } from '../test/fixtures/anybody.ts';
import { unary, type Call } from './handlers.ts';
import { loadProto } from './load.ts';
import { serve, type RunningServer } from './serve.ts';

const { QueryWriteStatusRequest: Request, QueryWriteStatusResponse: Response } = loadProto().google.bytestream;
const { service } = loadProto().google.bytestream.ByteStream;
const env = { log: silentLogger, clock: systemClock };
/** Calls that wait for their end, by resource name; resolved with what their signal says. */
const ends = new Map<string, (reason: unknown) => void>();

/** What the rpc does is told by the resource name. */
async function answer(
  { resourceName }: { readonly resourceName: string },
  call: Call,
): Promise<{ committedSize: number; complete: boolean }> {
  if (resourceName === 'fault') throw new Fault('BLOB_UNKNOWN', 'Blob ä is not there', { field: 'resource_name', hint: 'Upload it.' });
  if (resourceName === 'bug') throw new TypeError('secret');
  if (resourceName === 'tell') call.tell('told', 'yes');
  if (resourceName.startsWith('wait')) {
    await new Promise<void>((_, reject) => {
      const end = () => {
        ends.get(resourceName)?.(call.signal.reason);
        reject(call.signal.reason);
      };
      call.signal.addEventListener('abort', end);
      ends.get(`${resourceName} begun`)?.(undefined);
    });
  }
  return { committedSize: resourceName.length, complete: call.metadata.get('asked')[0] === 'so' };
}

const authenticator: Authenticator = {
  identify: (evidence) => {
    if (evidence.authorization === 'Bearer bad') throw new Fault('UNAUTHENTICATED', 'Nobody has that token');
    return anybody().identify(evidence);
  },
};

let server: RunningServer;
let session: ClientHttp2Session;
beforeAll(async () => {
  const handlers = { QueryWriteStatus: unary(env, 'QueryWriteStatus', answer) };
  server = await serve({ listen: '127.0.0.1:0', services: [{ definition: service, handlers }], authenticator, env, drainMs: 100 });
  session = connect(`http://${server.address}`);
});
afterAll(async () => {
  session.destroy();
  await server[Symbol.asyncDispose]();
});

function frameOf(message: Buffer, saidBytes = message.byteLength): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(saidBytes, 1);
  return Buffer.concat([prefix, message]);
}

const asking = (resourceName: string): Buffer => frameOf(Request.serialize({ resourceName }));

/** With it grpc-js handles a call, as any that might be compressed. */
const BY_GRPC_JS = { 'grpc-encoding': 'gzip' };

type Outcome = { readonly headers: IncomingHttpHeaders; readonly body: Buffer };

function begin(headers: Readonly<Record<string, string>>) {
  const path = service.QueryWriteStatus.path;
  return session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
}

/** Sends the pieces, each as a frame of HTTP/2 of its own, and takes what comes. */
async function outcomeOf(pieces: readonly Buffer[], headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const stream = begin(headers);
  const body: Buffer[] = [];
  let all: IncomingHttpHeaders = {};
  const note = (some: IncomingHttpHeaders) => (all = { ...all, ...some });
  stream
    .on('response', note)
    .on('trailers', note)
    .on('error', () => {});
  stream.on('data', (chunk: Buffer) => body.push(chunk));
  const closed = new Promise<void>((resolve) => stream.on('close', resolve));
  for (const piece of pieces) {
    stream.write(piece);
    if (pieces.length > 1) await new Promise<void>((resolve) => void session.ping(() => resolve()));
  }
  stream.end();
  await closed;
  return { headers: all, body: Buffer.concat(body) };
}

/** What both ways must say alike. */
function told({ headers, body }: Outcome) {
  const picked = ['grpc-status', 'grpc-status-details-bin', 'told', ':status', 'content-type'].map((name) => headers[name]);
  const message = headers['grpc-status'] === '0' ? '' : headers['grpc-message'];
  return { picked, message, body: body.toString('hex') };
}

const both = async (pieces: readonly Buffer[], headers: Readonly<Record<string, string>> = {}) => {
  const raw = await outcomeOf(pieces, headers);
  const usual = await outcomeOf(pieces, { ...headers, ...BY_GRPC_JS });
  return { raw, usual };
};

test.for([
  ['a good call', 'x', {}, status.OK],
  ['metadata', 'x', { asked: 'so' }, status.OK],
  ['metadata of the answer', 'tell', {}, status.OK],
  ['a deadline that does not pass', 'x', { 'grpc-timeout': '100S' }, status.OK],
  ['a fault', 'fault', {}, status.NOT_FOUND],
  ['a bug', 'bug', {}, status.INTERNAL],
  ['a credential that nobody has', 'x', { authorization: 'Bearer bad' }, status.UNAUTHENTICATED],
  ['a deadline that passes', 'wait', { 'grpc-timeout': '20m' }, status.DEADLINE_EXCEEDED],
] as const)('%s is answered as by grpc-js, which has no part in it', async ([, resourceName, headers, code]) => {
  const { raw, usual } = await both([asking(resourceName)], headers);
  expect(told(raw)).toEqual(told(usual));
  expect(raw.headers['grpc-status']).toBe(String(code));
  if (code !== status.OK) return;
  expect([raw.headers['grpc-accept-encoding'], usual.headers['grpc-accept-encoding']]).toEqual([undefined, expect.any(String)]);
  const asked = 'asked' in headers;
  expect(Response.deserialize(raw.body.subarray(5))).toMatchObject({ committedSize: String(resourceName.length), complete: asked });
});

test('a request is answered as soon as it is there, without the word that no other will come', async () => {
  const stream = begin({});
  const trailers = new Promise<IncomingHttpHeaders>((resolve) => stream.on('trailers', resolve));
  stream.on('data', () => {});
  stream.write(asking('x'));
  expect((await trailers)['grpc-status']).toBe('0');
  stream.end();
});

test('a call that comes byte by byte is put together', async () => {
  const { raw, usual } = await both([...asking('bytes')].map((byte) => Buffer.from([byte])));
  expect(told(raw)).toEqual(told(usual));
  expect(Response.deserialize(raw.body.subarray(5)).committedSize).toBe('5');
});

test.for([
  ['no message', [], status.UNIMPLEMENTED],
  ['half a message', [asking('half').subarray(0, 7)], status.UNIMPLEMENTED],
  ['two messages', [Buffer.concat([asking('one'), asking('two')])], status.UNIMPLEMENTED],
  ['bytes that are no message', [frameOf(Buffer.alloc(12, 0xff))], status.INTERNAL],
  ['a message that is too large', [frameOf(Buffer.alloc(10), 2 ** 31)], status.RESOURCE_EXHAUSTED],
] as const)('%s is refused with the status of grpc-js', async ([, pieces, code]) => {
  const { raw, usual } = await both(pieces);
  expect(raw.headers['grpc-status']).toBe(String(code));
  expect(raw.headers['grpc-status']).toBe(usual.headers['grpc-status']);
});

test('what it does not understand is left to grpc-js: other types of content, timeouts that are none', async () => {
  expect((await outcomeOf([asking('x')], { 'content-type': 'text/plain' })).headers[':status']).toBe(
    constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE,
  );
  expect((await outcomeOf([asking('x')], { 'grpc-timeout': 'soon' })).headers['grpc-message']).toContain('grpc-timeout');
});

test.for(['cancelled', 'deadline'])('a handler hears that nobody waits any more: %s', async (how) => {
  const name = `wait ${how}`;
  const begun = new Promise<unknown>((resolve) => ends.set(`${name} begun`, resolve));
  const ended = new Promise<unknown>((resolve) => ends.set(name, resolve));
  const stream = begin(how === 'deadline' ? { 'grpc-timeout': '2S' } : {});
  stream.on('error', () => {});
  stream.end(asking(name));
  if (how === 'cancelled') {
    await begun;
    stream.close(constants.NGHTTP2_CANCEL);
  }
  expect(await ended).toMatchObject({ code: 'CANCELLED' });
  stream.destroy();
});

test('a connection that breaks in the middle of calls breaks nothing else', async () => {
  const name = 'wait broken';
  const begun = new Promise<unknown>((resolve) => ends.set(`${name} begun`, resolve));
  const ended = new Promise<unknown>((resolve) => ends.set(name, resolve));
  const other = connect(`http://${server.address}`);
  other.on('error', () => {});
  const path = service.QueryWriteStatus.path;
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  for (const piece of [asking(name), asking('half').subarray(0, 7)]) {
    const stream = other.request(headers);
    stream.on('error', () => {});
    if (piece.byteLength > 7) stream.end(piece);
    else stream.write(piece);
  }
  await begun;
  other.destroy();
  expect(await ended).toMatchObject({ code: 'CANCELLED' });
  expect((await outcomeOf([asking('x')], {})).headers['grpc-status']).toBe('0');
});
