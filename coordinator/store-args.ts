import { flagOf, type OptionSpec } from '../base/options.ts';
import { STORE_OPTIONS } from '../cache/store-options.ts';

const { s3SecretAccessKey: _secret, s3SessionToken: _token, ...open } = STORE_OPTIONS;

/**
 * The options of the data plane's store that a coordinator hands on to the one that it starts. Secrets are not among them: the data plane
 * finds them in the environment, which it has from the coordinator (`SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY`, or AWS's own variables).
 */
export const DATA_STORE_OPTIONS = open satisfies Readonly<Record<string, OptionSpec>>;

/** Those options as the data plane's command line. It checks them. */
export function storeArgs(config: Readonly<Record<keyof typeof DATA_STORE_OPTIONS, string | number | undefined>>): readonly string[] {
  if (config.store === 'disk' && config.s3Bucket === undefined && config.s3Endpoint === undefined) return [];
  // The keys of a literal, each of which `config` has.
  const keys = Object.keys(DATA_STORE_OPTIONS) as (keyof typeof DATA_STORE_OPTIONS)[];
  return keys.flatMap((key) => {
    const value = config[key];
    return value === undefined ? [] : [flagOf(key), String(value)];
  });
}
