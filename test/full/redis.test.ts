import { Redis } from 'ioredis';
import { GenericContainer, Wait } from 'testcontainers';
import { expect, inject, test } from 'vitest';

test('testcontainers starts Redis from a local image, and it keeps what was written over a restart', async () => {
  await using container = await new GenericContainer(inject('images').redis)
    .withCommand(['redis-server', '--protected-mode', 'no', '--appendonly', 'yes', '--appendfsync', 'always'])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  const connect = () => new Redis({ host: container.getHost(), port: container.getMappedPort(6379), lazyConnect: true });
  const first = connect();
  await first.set('key', 'value');
  first.disconnect();
  await container.restart();
  const second = connect();
  expect(await second.get('key')).toBe('value');
  second.disconnect();
});
