import { Redis } from 'ioredis';
import { startRedis } from '../fixtures/redis.ts';
import { giveOwnCore } from './own-core.ts';

export interface RedisPlace extends AsyncDisposable {
  readonly url: string;
  /** What its keeping means, for the table. */
  readonly persistence: string;
}

/**
 * The Redis at `address` (host:port or a URL), or a new one of this host with `appendonly yes`, `appendfsync everysec`; the new one
 * on a core of its own where `ownCore`.
 */
export async function redisPlace(address: string | undefined, ownCore = false): Promise<RedisPlace> {
  await using stack = new AsyncDisposableStack();
  let url = address === undefined || /^rediss?:/.test(address) ? address : `redis://${address}`;
  if (url === undefined) {
    const args = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''];
    const redis = stack.use(await startRedis({ args }));
    if (ownCore) giveOwnCore(redis.pid());
    url = redis.url;
  }
  const persistence = `${await persistenceOf(url)}${ownCore ? ', own core' : ''}`;
  const parts = stack.move();
  return { url, persistence, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function persistenceOf(url: string): Promise<string> {
  const redis = new Redis(url, { protocol: 2 });
  try {
    const [, appendonly] = listOf(await redis.config('GET', 'appendonly'));
    const [, fsync] = listOf(await redis.config('GET', 'appendfsync'));
    return appendonly === 'yes' ? `appendfsync ${fsync}` : 'no append-only file';
  } finally {
    redis.disconnect();
  }
}

/** Name and value, as CONFIG GET answers. */
function listOf(answer: unknown): readonly string[] {
  return Array.isArray(answer) ? answer.map(String) : [];
}
