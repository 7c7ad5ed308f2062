import { Fault } from '../base/fault.ts';
import type { OptionSpec } from '../base/options.ts';
import { redisConfigFrom, type RedisConfig, type RedisOptionValues } from '../base/redis/config.ts';
import { S3_OPTIONS, s3ConfigFrom, type S3Config, type S3OptionValues } from './objects/s3-options.ts';

/** The options that say where blobs are kept, for the tables of the data plane and of the coordinator that starts one. */
export const STORE_OPTIONS = {
  store: {
    type: 'choice',
    choices: ['disk', 's3'],
    default: 'disk',
    help:
      'Where blobs are kept: in files of the directory; or in an S3-compatible bucket, with the directory as its local tier. ' +
      'What is uploaded is acknowledged once it is there.',
  },
  ...S3_OPTIONS,
  storeIndex: {
    type: 'choice',
    choices: ['sqlite', 'redis'],
    default: 'sqlite',
    help:
      'With --store s3, what knows where blobs are in the bucket: a file of the directory, for data planes on one host; or a Redis ' +
      '(--redis-url), which data planes of several hosts share. It can be made again from the bucket.',
  },
  stagingBytes: {
    type: 'size',
    default: '10Gi',
    min: 65_536,
    help:
      'With --store s3, most bytes of uploads that are kept on the local disk while the bucket does not answer, until it does; more are refused. ' +
      'On top of the local tier.',
  },
  stagingDir: { type: 'path', help: 'Where they are kept; staging below the directory of the data plane without it.' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export type StoreOptionValues = S3OptionValues &
  RedisOptionValues & {
    readonly store: 'disk' | 's3';
    readonly storeIndex: 'sqlite' | 'redis';
    readonly stagingBytes: number;
    readonly stagingDir: string | undefined;
  };

/** A bucket, and the Redis of its index; undefined: the index is a file. */
export type BucketConfig = {
  readonly bucket: S3Config;
  readonly redis: RedisConfig | undefined;
  /** @default 10 GiB, in `staging` of the stack's directory */
  readonly staging?: { readonly bytes: number; readonly dir: string | undefined };
};

/**
 * The bucket's configuration with --store s3, else undefined.
 * @throws {Fault} CONFIG_INVALID where options of a bucket are given without it, or are wrong.
 */
export function bucketFrom(values: StoreOptionValues): BucketConfig | undefined {
  if (values.store === 's3') {
    const redis = values.storeIndex === 'redis' ? redisConfigFrom(values, '--store-index redis') : undefined;
    return { bucket: s3ConfigFrom(values), redis, staging: { bytes: values.stagingBytes, dir: values.stagingDir } };
  }
  const given =
    values.s3Bucket !== undefined
      ? '--s3-bucket'
      : values.s3Endpoint !== undefined
        ? '--s3-endpoint'
        : values.storeIndex === 'redis'
          ? '--store-index'
          : undefined;
  if (given !== undefined) throw new Fault('CONFIG_INVALID', `${given} is given, but --store is not s3`, { field: 'store' });
  return undefined;
}
