import type { OptionSpec } from '../../../base/options.ts';
import { REDIS_OPTIONS, redisConfigFrom, type RedisConfig, type RedisOptionValues } from '../../../base/redis/config.ts';

/** The options of the Redis ledger, for the table of the process that opens one. */
export const LEDGER_REDIS_OPTIONS = {
  ...REDIS_OPTIONS,
  redisDurability: {
    type: 'choice',
    choices: ['memory', 'fsync', 'replicas'],
    default: 'memory',
    help: 'When an accepted build is acknowledged: once Redis has it, once it is on the disk of Redis, or once replicas have it.',
  },
  redisReplicas: {
    type: 'int',
    default: '1',
    min: 1,
    max: 16,
    help: 'How many replicas must have a write with --redis-durability replicas.',
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** What `LEDGER_REDIS_OPTIONS` give. */
export type LedgerRedisValues = RedisOptionValues & {
  readonly redisDurability: 'memory' | 'fsync' | 'replicas';
  readonly redisReplicas: number;
};

/** When a commit counts: Redis has it, its disk has it, that many replicas have it. */
export type RedisDurability =
  | { readonly kind: 'memory' }
  | { readonly kind: 'fsync' }
  | { readonly kind: 'replicas'; readonly count: number };

/** Everything that opening a Redis ledger needs to know. */
export type LedgerRedisConfig = RedisConfig & { readonly durability: RedisDurability };

/** The configuration of the Redis ledger, as `redisConfigFrom` gives it. @throws {Fault} CONFIG_INVALID listing every problem. */
export function ledgerRedisFrom(values: LedgerRedisValues): LedgerRedisConfig {
  const { redisDurability: kind, redisReplicas: count } = values;
  return { ...redisConfigFrom(values, '--ledger redis'), durability: kind === 'replicas' ? { kind, count } : { kind } };
}
