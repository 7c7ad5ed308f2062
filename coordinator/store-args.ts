import { Fault } from '../base/fault.ts';
import { flagOf, type OptionSpec } from '../base/options.ts';
import { REDIS_OPTIONS, type RedisOptionValues } from '../base/redis/config.ts';
import { STORE_OPTIONS } from '../cache/store-options.ts';

const { s3SecretAccessKey: _secret, s3SessionToken: _token, ...open } = STORE_OPTIONS;

/**
 * The options of the data plane's store that a coordinator hands on to the one that it starts. Secrets are not among them: the data plane
 * finds them in the environment, which it has from the coordinator (`SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY`, or AWS's own variables).
 */
export const DATA_STORE_OPTIONS = open satisfies Readonly<Record<string, OptionSpec>>;

/** What the data plane is told of Redis, where its index is there: the same as the ledger. */
const REDIS_KEYS = Object.keys(REDIS_OPTIONS) as (keyof RedisOptionValues)[]; // the keys of a literal

/**
 * Those options as the data plane's command line. It checks them.
 * @throws {Fault} CONFIG_INVALID where the URL of Redis has a password, which a command line would show.
 */
export function storeArgs(
  config: Readonly<Record<keyof typeof DATA_STORE_OPTIONS, string | number | undefined>> & RedisOptionValues,
): readonly string[] {
  if (config.store === 'disk' && config.s3Bucket === undefined && config.s3Endpoint === undefined) return [];
  // The keys of a literal, each of which `config` has.
  const keys = Object.keys(DATA_STORE_OPTIONS) as (keyof typeof DATA_STORE_OPTIONS)[];
  const redisKeys = config.storeIndex === 'redis' && config.redisUrl !== undefined ? REDIS_KEYS : [];
  if (redisKeys.length > 0 && /^[^/]*\/\/[^/]*@/.test(config.redisUrl ?? '')) {
    throw new Fault('CONFIG_INVALID', '--redis-url names a user or password, which the command line of the data plane would show', {
      field: 'redisUrl',
      hint: 'Give --redis-user and --redis-password-file instead.',
    });
  }
  return [...keys, ...redisKeys].flatMap((key) => {
    const value = config[key];
    return value === undefined ? [] : [flagOf(key), String(value)];
  });
}
