import { Fault } from '../base/fault.ts';
import type { OptionSpec } from '../base/options.ts';
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
} as const satisfies Readonly<Record<string, OptionSpec>>;

export type StoreOptionValues = S3OptionValues & { readonly store: 'disk' | 's3' };

/**
 * The bucket's configuration with --store s3, else undefined.
 * @throws {Fault} CONFIG_INVALID where options of a bucket are given without it, or are wrong.
 */
export function bucketFrom(values: StoreOptionValues): S3Config | undefined {
  if (values.store === 's3') return s3ConfigFrom(values);
  const given = values.s3Bucket !== undefined ? '--s3-bucket' : values.s3Endpoint !== undefined ? '--s3-endpoint' : undefined;
  if (given !== undefined) throw new Fault('CONFIG_INVALID', `${given} is given, but --store is not s3`, { field: 'store' });
  return undefined;
}
