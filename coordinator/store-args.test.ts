import { expect, test } from 'vitest';
import { parseCacheConfig } from '../cache/config.ts';
import { bucketFrom } from '../cache/store-options.ts';
import { parseCoordinatorConfig } from './config.ts';
import { storeArgs } from './store-args.ts';

test("what a coordinator is told of the data plane's store is what the data plane is told", () => {
  const given = ['--store', 's3', '--s3-bucket', 'builds', '--s3-endpoint', 'https://s3.example.org', '--s3-connections', '7'];
  const args = storeArgs(parseCoordinatorConfig({}, given));
  const config = parseCacheConfig({}, args);
  expect(bucketFrom(config)).toMatchObject({
    bucket: { bucket: 'builds', endpoint: 'https://s3.example.org', connectionsMax: 7, pathStyle: true },
    redis: undefined,
  });
});

test('a coordinator takes no secret of the bucket on its command line, and hands none on', () => {
  const secret = ['--store', 's3', '--s3-bucket', 'builds', '--s3-secret-access-key', 'hush'];
  expect(() => parseCoordinatorConfig({}, secret)).toThrow(/--s3-secret-access-key/);
  expect(() => parseCacheConfig({}, secret)).toThrow(/SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY/);
});

test('options of a bucket without --store s3 reach the data plane, which refuses them', () => {
  const args = storeArgs(parseCoordinatorConfig({}, ['--s3-bucket', 'builds']));
  expect(() => bucketFrom(parseCacheConfig({}, args))).toThrow(/--s3-bucket is given, but --store is not s3/);
  expect(storeArgs(parseCoordinatorConfig({}, []))).toEqual([]);
});

test('an index in Redis is where the ledger is, and a URL with a password goes onto no command line', () => {
  const ledger = ['--ledger', 'redis', '--blobs-dir', '/blobs', '--store', 's3', '--s3-bucket', 'builds', '--store-index', 'redis'];
  const args = storeArgs(parseCoordinatorConfig({}, [...ledger, '--redis-url', 'redis://r:6379/2', '--redis-prefix', 'yard']));
  expect(bucketFrom(parseCacheConfig({}, args))?.redis).toMatchObject({ prefix: 'yard', target: { database: 2 } });
  const shown = parseCoordinatorConfig({}, [...ledger, '--redis-url', 'redis://u:hush@r:6379']);
  expect(() => storeArgs(shown)).toThrow(/--redis-url names a user or password/);
  const alone = parseCacheConfig({}, ['--store', 's3', '--s3-bucket', 'builds', '--store-index', 'redis']);
  expect(() => bucketFrom(alone)).toThrow(/--redis-url is required with --store-index redis/);
});
