import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { newConnectionCounts, type ConnectionCounts, type ConnectionLimits } from '../../base/connection-limits.ts';
import { memoryLogger } from '../../base/log.ts';
import { openServerTls } from '../../base/server-tls.ts';
import { openHttpFront } from '../../cache/http/front.ts';
import type { FrontParts } from '../../cache/http/exchange.ts';
import { anybody } from '../fixtures/anybody.ts';
import { authorityIn, certificateBy, writeCertificate } from '../fixtures/certificates.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { serve, type ServeOptions } from '../../proto/serve.ts';

const { ByteStream } = loadProto().google.bytestream;
const never = new AbortController().signal;
const NEVER = 600_000;
const UNARY = '/google.bytestream.ByteStream/QueryWriteStatus';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function start(connectionLimits: Partial<ConnectionLimits>, tls?: ServeOptions['tls']) {
  const env = { log: memoryLogger(), clock: systemClock };
  const connections = newConnectionCounts();
  const handlers = { QueryWriteStatus: unary<unknown, object>(env, 'QueryWriteStatus', () => Promise.resolve({ complete: true })) };
  const services = [{ definition: ByteStream.service, handlers }];
  const options = { listen: '127.0.0.1:0', services, authenticator: anybody(), tls, env, drainMs: 0, connectionLimits, connections };
  const server = stack.use(await serve(options));
  return { address: server.address, port: Number(server.address.split(':')[1]), connections, log: env.log };
}

/** As many as a listening socket has waiting without losing some. */
const WAVE = 200;

/**
 * So many connections that say nothing, from one of this host's own addresses, once the server has seen all of them; what each was told,
 * by what it was told.
 */
async function silent(port: number, count: number, seen: ConnectionCounts, localAddress = '127.0.0.1') {
  const told = new Map<string, number>();
  const ended: Promise<unknown>[] = [];
  const all = () => seen.open + seen.refused.all + seen.refused.address + seen.refused.silent;
  const before = all();
  for (let index = 1; index <= count; index += 1) {
    const socket: Socket = connect({ port, host: '127.0.0.1', localAddress });
    stack.defer(() => void socket.destroy());
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    const closed = once(socket, 'close').then(() => told.set(text, (told.get(text) ?? 0) + 1));
    ended.push(closed);
    if (index % WAVE === 0 || index === count) await until(`${index} have come`, () => all() - before >= index);
  }
  return { told, ended: Promise.all(ended) };
}

async function isAnswered(address: string): Promise<boolean> {
  using client = Object.assign(dial(ByteStream, { address, token: undefined }, 'control'), {
    [Symbol.dispose]() {
      client.close();
    },
  });
  return (await callUnary(client, 'queryWriteStatus', { resourceName: 'r' }, { signal: never })).complete;
}

/** The gRPC status of a call on the connection. */
async function statusOn(session: ClientHttp2Session): Promise<unknown> {
  const stream = session.request({ ':method': 'POST', ':path': UNARY, 'content-type': 'application/grpc', te: 'trailers' });
  let status: unknown;
  stream.on('response', (headers) => (status ??= headers['grpc-status']));
  stream.on('trailers', (headers) => (status ??= headers['grpc-status']));
  stream.resume();
  stream.end(Buffer.alloc(5)); // an empty message
  await once(stream, 'close');
  return status;
}

test(
  'thousands of connections that say nothing take what their own address may have, and the others are told so',
  { timeout: 120_000 },
  async () => {
    const { address, port, connections, log } = await start({ inAll: 1_500, perAddress: 1_000, silentMs: NEVER });
    const own = connectHttp2(`http://${address}`, {
      createConnection: () => connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' }),
    });
    stack.defer(() => own.destroy());
    expect(await statusOn(own)).toBe('0');
    const crowd = await silent(port, 3_000, connections);
    expect(connections.refused).toEqual({ all: 0, address: 2_000, silent: 0 });
    await expect(isAnswered(address)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' }); // from the same address
    expect(await statusOn(own)).toBe('0');
    await silent(port, 1_000, connections, '127.0.0.2');
    expect([connections.open, connections.refused.all]).toEqual([1_500, 501]);
    expect(await statusOn(own)).toBe('0');
    const text = 'there are 1000 connections from 127.0.0.1 already';
    await until('some were told why', () => [...crowd.told.keys()].some((told) => told.includes(text)));
    expect(log.entries.filter(({ event }) => event === 'connections-refused').length).toBeGreaterThan(0);
  },
);

test('thousands of connections that say nothing end, and one that makes calls now and then stays', { timeout: 120_000 }, async () => {
  const { address, port, connections } = await start({ silentMs: 1_000 });
  const session = connectHttp2(`http://${address}`);
  stack.defer(() => session.destroy());
  expect(await statusOn(session)).toBe('0');
  await (
    await silent(port, 3_000, connections)
  ).ended;
  await until('all are counted', () => connections.open === 1);
  expect(connections.refused).toEqual({ all: 0, address: 0, silent: 3_000 });
  expect(await statusOn(session)).toBe('0');
});

test('one connection has a bounded number of calls, and its client keeps what is more', { timeout: 120_000 }, async () => {
  const { address } = await start({});
  const session = connectHttp2(`http://${address}`);
  stack.defer(() => session.destroy());
  await once(session, 'remoteSettings');
  expect(session.remoteSettings.maxConcurrentStreams).toBe(2_048);
  const statuses = await Promise.all(Array.from({ length: 3_000 }, () => statusOn(session)));
  expect(new Set(statuses)).toEqual(new Set(['0']));
});

test('over TLS a connection that never begins the handshake ends, and one that was made stays', { timeout: 60_000 }, async () => {
  const dir = stack.use(await tempDir());
  const authority = authorityIn(dir.path, 'trusted');
  const files = writeCertificate(dir.path, 'server', certificateBy(authority, { hosts: ['127.0.0.1'] }));
  const tls = stack.use(
    openServerTls({ tlsCert: files.cert, tlsKey: files.key, zoneCa: [`trusted=${authority.file}`], callerCa: [] }, memoryLogger()),
  );
  const { address, port, connections } = await start({ silentMs: 3_000, perAddress: 5 }, tls);
  const createConnection = () => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const session = connectHttp2(`https://${address}`, { createConnection });
  stack.defer(() => session.destroy());
  expect(await statusOn(session)).toBe('0');
  const mute = await silent(port, 10, connections); // four of which find room
  await mute.ended;
  expect(mute.told).toEqual(new Map([['', 10]]));
  await until('all are counted', () => connections.open === 1);
  expect(connections.refused).toEqual({ all: 0, address: 6, silent: 4 });
  expect(await statusOn(session)).toBe('0');
});

test('the HTTP caches have the same bounds, and say 503 to who comes over them', { timeout: 60_000 }, async () => {
  const open = async (connectionLimits: Partial<ConnectionLimits>) => {
    const connections = newConnectionCounts();
    const front = await openHttpFront({
      listen: '127.0.0.1:0',
      callerOf: () => Promise.reject(new Error('nobody asks')),
      viewOf: () => {
        throw new Error('nobody asks');
      },
      parts: {} as FrontParts, // of no use to a path that is no protocol's
      bodyBytesMax: 1,
      drainMs: 0,
      connectionLimits,
      connections,
      env: { log: memoryLogger(), clock: systemClock },
    });
    stack.use(front);
    return { port: Number(front.address.split(':')[1]), connections };
  };
  const full = await open({ perAddress: 500, silentMs: NEVER });
  const crowd = await silent(full.port, 1_000, full.connections);
  expect(full.connections.refused.address).toBe(500);
  const refusal = /^HTTP\/1\.1 503 [^]*Too many connections: there are 500 connections from 127\.0\.0\.1 already\n$/;
  await until('some were told why', () => [...crowd.told.keys()].some((told) => refusal.test(told)));
  const strict = await open({ silentMs: 1_000 });
  await (
    await silent(strict.port, 1_000, strict.connections)
  ).ended;
  await until('all are counted', () => strict.connections.open === 0);
  expect(strict.connections.refused.silent).toBe(1_000);
  expect((await fetch(`http://127.0.0.1:${strict.port}/nothing`)).status).toBe(404);
});
