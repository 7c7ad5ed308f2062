import type { Env } from '../base/env.ts';
import { clientOf } from '../base/redis/client.ts';
import type { RedisConfig } from '../base/redis/config.ts';
import { describeTarget } from '../base/redis/target.ts';
import { openRedisStoreIndex } from './store-index/redis/redis.ts';
import type { StoreIndex } from './store-index/store-index.ts';

const ANSWER_MS = 5_000;
/** How long a start waits for the connection; what needs the index before it is there is told to come back. */
const CONNECT_MS = 3_000;

/** The index that all data planes with the same Redis and prefix share. A Redis that is away is no reason not to start. */
export async function openIndexInRedis(config: RedisConfig, env: Env): Promise<StoreIndex> {
  const where = describeTarget(config.target);
  const client = clientOf(config, 'cache', ANSWER_MS);
  let isAway = false;
  client.on('error', (error: Error) => {
    if (!isAway) env.log.warn('index-redis-away', { where, error });
    isAway = true;
  });
  const ready = Promise.withResolvers<void>();
  client.on('ready', () => {
    isAway = false;
    env.log.info('index-redis-connected', { where });
    ready.resolve();
  });
  const timer = setTimeout(() => ready.resolve(), CONNECT_MS);
  await ready.promise;
  clearTimeout(timer);
  const index = openRedisStoreIndex({ client, prefix: `${config.prefix}.index`, where });
  return {
    ...index,
    async [Symbol.asyncDispose]() {
      await index[Symbol.asyncDispose]();
      client.disconnect();
    },
  };
}
