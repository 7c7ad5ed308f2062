import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { until } from '../test/fixtures/until.ts';
import { systemClock } from './clock.ts';
import { limitConnections, newConnectionCounts, type ConnectionLimits } from './connection-limits.ts';
import { memoryLogger } from './log.ts';

const open: Socket[] = [];
let servers: Server[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  servers = [];
});

/** A server that answers each line with itself. */
async function echo(limits: Partial<ConnectionLimits>) {
  const log = memoryLogger();
  const counts = newConnectionCounts();
  const server = createServer((socket) => void socket.on('error', () => {}).pipe(socket));
  servers.push(server);
  limitConnections(server, {
    name: 'echo',
    limits,
    counts,
    farewell: (why) => Buffer.from(`no: ${why}`),
    env: { log, clock: systemClock },
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { log, counts, port: (server.address() as AddressInfo).port };
}

/** A connection from one of this host's own addresses, and what it was told. */
function dial(port: number, localAddress = '127.0.0.1'): { readonly socket: Socket; heard(): string; readonly closed: Promise<unknown> } {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  open.push(socket);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => {});
  return { socket, heard: () => text, closed: once(socket, 'close') };
}

test('an address that has all its connections gets no more and is told why; others do, until all are taken; one that ends makes room', async () => {
  const { port, counts, log } = await echo({ perAddress: 2, inAll: 3 });
  const first = dial(port);
  dial(port);
  await until('they are open', () => counts.open === 2);
  const third = dial(port);
  await third.closed;
  expect(third.heard()).toBe('no: there are 2 connections from 127.0.0.1 already');
  const other = dial(port, '127.0.0.2');
  other.socket.write('here');
  await until('another address is served', () => other.heard() === 'here');
  const last = dial(port, '127.0.0.3');
  await last.closed;
  expect(last.heard()).toBe('no: there are 3 connections already');
  expect(counts).toEqual({ open: 3, refused: { all: 1, address: 1, silent: 0 } });
  expect(log.entries.filter(({ event }) => event === 'connections-refused').length).toBe(1);
  first.socket.destroy();
  await until('there is room', () => counts.open === 2);
  const again = dial(port);
  again.socket.write('again');
  await until('it is served', () => again.heard() === 'again');
});

test('a connection that says nothing is ended, one that has said something is not', async () => {
  const { port, counts } = await echo({ silentMs: 100 });
  const talker = dial(port);
  talker.socket.write('hello');
  await until('it is heard', () => talker.heard() === 'hello');
  const silent = dial(port);
  await silent.closed;
  await until('it is counted', () => counts.open === 1);
  expect(counts.refused).toEqual({ all: 0, address: 0, silent: 1 });
  talker.socket.write(' again');
  await until('it is heard again', () => talker.heard() === 'hello again');
});
