import type { Env } from '../base/env.ts';
import { Fault } from '../base/fault.ts';
import type { OptionSpec } from '../base/options.ts';
import { clientOf } from '../coordinator/ledger/redis/client.ts';
import { REDIS_OPTIONS, redisConfigFrom, type RedisConfig, type RedisOptionValues } from '../coordinator/ledger/redis/config.ts';
import { openRedisStoreIndex } from './store-index/redis/redis.ts';
import type { StoreIndex } from './store-index/store-index.ts';

const { redisDurability: _durability, redisReplicas: _replicas, ...connection } = REDIS_OPTIONS;

/** How the Redis of the store's index is reached; where a coordinator's ledger is in Redis, by the same options. */
export const INDEX_REDIS_OPTIONS = connection satisfies Readonly<Record<string, OptionSpec>>;

export type IndexRedisValues = Omit<RedisOptionValues, 'redisDurability' | 'redisReplicas'>;

const ANSWER_MS = 5_000;
/** How long a start waits for the connection; what needs the index before it is there is told to come back. */
const CONNECT_MS = 3_000;

/** @throws {Fault} CONFIG_INVALID listing every problem. */
export function indexRedisFrom(values: IndexRedisValues): RedisConfig {
  if (values.redisUrl === undefined) {
    throw new Fault('CONFIG_INVALID', '--redis-url (or SWITCHYARD_CACHE_REDIS_URL) is required with --store-index redis', {
      field: 'redisUrl',
    });
  }
  return redisConfigFrom({ ...values, redisDurability: 'memory', redisReplicas: 1 });
}

/** The index that all data planes with the same Redis and prefix share. A Redis that is away is no reason not to start. */
export async function openIndexInRedis(config: RedisConfig, env: Env): Promise<StoreIndex> {
  const { at } = config.target;
  const where = at.kind === 'socket' ? at.path : at.kind === 'single' ? `${at.host.host}:${at.host.port}` : at.kind;
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
