import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { tempDir } from '../fixtures/temp-dir.ts';

export interface RedisPlace extends AsyncDisposable {
  readonly url: string;
  /** What its keeping means, for the table. */
  readonly persistence: string;
}

/** The Redis at `address` (host:port or a URL), or a new one of this host with `appendonly yes`, `appendfsync everysec`. */
export async function redisPlace(address: string | undefined): Promise<RedisPlace> {
  await using stack = new AsyncDisposableStack();
  let url = address === undefined || /^rediss?:/.test(address) ? address : `redis://${address}`;
  if (url === undefined) {
    const dir = stack.use(await tempDir());
    const port = await freePort();
    const child = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir.path, '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
      { stdio: 'ignore' },
    );
    stack.defer(() => end(child));
    await once(child, 'spawn');
    url = `redis://127.0.0.1:${port}`;
  }
  const persistence = await persistenceOf(url);
  const parts = stack.move();
  return { url, persistence, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function persistenceOf(url: string): Promise<string> {
  const redis = new Redis(url, { retryStrategy: (times) => (times > 50 ? null : 100), maxRetriesPerRequest: null });
  try {
    const [, appendonly] = await redis.config('GET', 'appendonly').then((answer) => [...(answer as string[])]); // name and value
    const [, fsync] = await redis.config('GET', 'appendfsync').then((answer) => [...(answer as string[])]); // name and value
    return appendonly === 'yes' ? `appendfsync ${fsync}` : 'no append-only file';
  } finally {
    redis.disconnect();
  }
}
