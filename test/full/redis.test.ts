import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerContract } from '../contract/ledger.ts';
import { sharedLedgerContract } from '../contract/shared-ledger.ts';
import { freePorts } from '../fixtures/ports.ts';
import { newPrefix, openAt, openTwoAt } from '../fixtures/redis-ledger.ts';

const REDIS_PORT = 6379;

/** Of Debian's package, unless SWITCHYARD_TEST_REDIS_IMAGE names another one, such as `redis:7` or `valkey/valkey:8`. */
const IMAGE = process.env['SWITCHYARD_TEST_REDIS_IMAGE'] ?? '';

// Leaderships are measured by the server's clock, which nobody here can set: these tests wait.
const time = { ttlMs: 500, pass: (ms: number) => sleep(ms + 5) };

let container: StartedTestContainer;
const url = () => `redis://${container.getHost()}:${container.getMappedPort(REDIS_PORT)}`;

beforeAll(async () => {
  // The port must be the same after a restart: a ledger comes back to where it was.
  const [host = 0] = await freePorts(1);
  container = await new GenericContainer(IMAGE)
    .withCommand(['redis-server', '--protected-mode', 'no', '--save', ''])
    .withExposedPorts({ container: REDIS_PORT, host })
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
});

afterAll(() => container.stop({ remove: true, removeVolumes: true }));

/** Runs a command on a connection of its own, once the server answers. */
async function command(name: string, ...args: readonly string[]): Promise<unknown> {
  const client = new Redis(url(), { protocol: 2, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  try {
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}

test('the server in the container is a Redis of version 7 or newer, or a Valkey', async () => {
  const version = /^redis_version:(\d+)/m.exec(String(await command('INFO', 'server')))?.[1];
  expect(Number(version)).toBeGreaterThanOrEqual(7);
});

let prefix = '';
ledgerContract({
  name: 'redis in a container',
  open: () => {
    prefix = newPrefix();
    return openAt(url(), { prefix });
  },
  reopen: async (ledger) => {
    await ledger[Symbol.asyncDispose]();
    return await openAt(url(), { prefix });
  },
  time,
});

sharedLedgerContract({
  name: 'redis in a container',
  ...time,
  async open() {
    await command('FLUSHALL');
    return await openTwoAt(url());
  },
  async checkpoint() {
    await command('SAVE');
    return async () => {
      // It comes back with what it saved then: it saves nothing when it is told to end.
      await container.restart();
      await command('PING');
    };
  },
});
