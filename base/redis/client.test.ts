import { expect, test } from 'vitest';
import { configAt } from '../../test/fixtures/redis-ledger.ts';
import { startRedis } from '../../test/fixtures/redis.ts';
import { startScriptedSentinel } from '../../test/fixtures/scripted-sentinel.ts';
import { until } from '../../test/fixtures/until.ts';
import { clientOf } from './client.ts';

async function sentinelYard() {
  await using stack = new AsyncDisposableStack();
  const master = stack.use(await startRedis());
  const sentinel = stack.use(await startScriptedSentinel(master));
  const client = clientOf(configAt(`redis-sentinel://127.0.0.1:${sentinel.port}/yard`), 'test', 5_000);
  client.on('error', () => {});
  stack.defer(() => client.disconnect());
  await until('it is connected and listens for failovers', () => client.status === 'ready' && sentinel.subscribers === 1);
  const parts = stack.move();
  return { master, sentinel, client, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test('a failover that is told of while it asks where the master is does not end a client for good', async () => {
  await using yard = await sentinelYard();
  const { master, sentinel, client } = yard;
  sentinel.hold();
  await master.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until('it asks again', () => sentinel.asked === 1);
  sentinel.switchMaster();
  // Once it has heard of it, it listens no more.
  await until('it has heard of the failover', () => sentinel.subscribers === 0);
  sentinel.release();
  await until('it is connected again', async () => (await client.call('PING')) === 'PONG');
});

test('a client that was closed stays closed, whatever it did just then', async () => {
  await using yard = await sentinelYard();
  const { master, sentinel, client } = yard;
  sentinel.hold();
  await master.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until('it asks again', () => sentinel.asked === 1);
  client.disconnect();
  const ended = new Promise((resolve) => client.once('end', resolve));
  sentinel.release();
  await ended;
  await expect(client.call('PING')).rejects.toThrow('Connection is closed');
  expect(client.status).toBe('end');
  expect(sentinel.asked).toBe(0);
});
