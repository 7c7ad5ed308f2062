import { connect } from 'node:http2';
import { once } from 'node:events';
import { Client, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { isFault } from '../base/fault.ts';
import { memoryLogger } from '../base/log.ts';
import { anybody } from '../test/fixtures/anybody.ts';
import { loadDefinition, loadProto, protoFiles } from './load.ts';
import { serve, WINDOW_BYTES, windowOf, type ServedService } from './serve.ts';

const HEALTH = '/grpc.health.v1.Health/Check';

function startServer(services: readonly ServedService[] = [], listen = '127.0.0.1:0') {
  const log = memoryLogger();
  return serve({ listen, services, authenticator: anybody(), env: { log, clock: systemClock }, drainMs: 100 }).then((server) =>
    Object.assign(server, { log }),
  );
}

/** Calls a method by its path with raw bytes, as a client without our files would. */
async function rawCall(address: string, path: string, request: Buffer): Promise<Buffer | ServiceError> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve) => {
      const same = (bytes: Buffer) => bytes;
      client.makeUnaryRequest(path, same, same, request, (error, response) => resolve(error ?? response ?? Buffer.alloc(0)));
    });
  } finally {
    client.close();
  }
}

/** The answer of the health service for `service`, by name. */
async function healthOf(address: string, service: string): Promise<string> {
  const codec = loadPackageDefinition(loadSync(protoPath, { enums: String, defaults: true }));
  const check = (
    codec as unknown as {
      grpc: { health: { v1: Record<string, { serialize(value: object): Buffer; deserialize(bytes: Buffer): { status: string } }> } };
    }
  ).grpc.health.v1; // the shape of the package's own proto
  const answer = await rawCall(address, HEALTH, check['HealthCheckRequest']?.serialize({ service }) ?? Buffer.alloc(0));
  if (answer instanceof Error) return answer.details;
  return check['HealthCheckResponse']?.deserialize(answer).status ?? '';
}

test('health answers for the server and each of its services, and follows setServing', async () => {
  await using server = await startServer([{ definition: loadProto().google.bytestream.ByteStream.service, handlers: {} }]);
  expect(await healthOf(server.address, '')).toBe('SERVING');
  expect(await healthOf(server.address, 'google.bytestream.ByteStream')).toBe('SERVING');
  expect(await healthOf(server.address, 'no.such.Service')).not.toContain('SERVING');
  server.setServing(false);
  expect(await healthOf(server.address, '')).toBe('NOT_SERVING');
});

test('reflection lists the served services', async () => {
  await using server = await startServer([{ definition: loadProto().switchyard.v1.Build.service, handlers: {} }]);
  const client = new Client(server.address, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', same, same);
  call.write(Buffer.from([0x3a, 0x01, 0x2a])); // ServerReflectionRequest { list_services: "*" }
  const [answer] = (await once(call, 'data')) as [Buffer];
  expect(answer.toString('latin1')).toContain('switchyard.v1.Build');
  call.cancel();
  call.on('error', () => {});
  client.close();
});

test('clients may send far ahead, on a stream and on the connection', async () => {
  await using server = await startServer();
  expect(server.log.entries).toEqual([]);
  const session = connect(`http://${server.address}`);
  const [settings] = (await once(session, 'remoteSettings')) as [{ initialWindowSize: number }];
  expect(settings.initialWindowSize).toBe(WINDOW_BYTES);
  // The connection's window grows by a WINDOW_UPDATE frame that follows the settings; a ping's answer comes after it.
  await new Promise<void>((resolve) => session.ping(() => resolve()));
  expect(session.state.remoteWindowSize).toBe(WINDOW_BYTES);
  session.destroy();
});

test('many connections together may send ahead little more than a few', async () => {
  await using server = await startServer();
  const count = 40;
  const sessions = Array.from({ length: count }, () => connect(`http://${server.address}`));
  await Promise.all(sessions.map((session) => once(session, 'connect')));
  const late = connect(`http://${server.address}`);
  await once(late, 'connect');
  for (const session of [...sessions, late]) await new Promise<void>((resolve) => session.ping(() => resolve()));
  expect(late.state.remoteWindowSize).toBe(windowOf(count + 1));
  expect(windowOf(count + 1)).toBeLessThan(WINDOW_BYTES);
  for (const session of [...sessions, late]) session.destroy();
  for (const connections of [1, 20, 100, 1_000]) expect(connections * windowOf(connections)).toBeLessThanOrEqual(256 * 1024 * 1024);
});

test('an address that is taken is CONFIG_INVALID and says which', async () => {
  await using server = await startServer();
  const error: unknown = await startServer([], server.address).catch((reason: unknown) => reason);
  expect(isFault(error, 'CONFIG_INVALID') && error.message).toContain(server.address);
});

test('disposing twice is disposing once, and frees the port', async () => {
  const server = await startServer();
  await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  await using again = await startServer([], server.address);
  expect(again.address).toBe(server.address);
});

test('every proto file is loaded', () => {
  const definition = loadDefinition();
  expect(protoFiles()).toContain('switchyard/v1/build.proto');
  for (const name of ['switchyard.v1.Build', 'switchyard.v1.Agent', 'google.bytestream.ByteStream', 'google.rpc.Status']) {
    expect(definition).toHaveProperty([name]);
  }
});
