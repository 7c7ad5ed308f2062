import { expect, test } from 'vitest';
import { parseCacheConfig } from '../cache/config.ts';
import { bucketFrom } from '../cache/store-options.ts';
import { parseCoordinatorConfig } from './config.ts';
import { storeArgs } from './store-args.ts';

test("what a coordinator is told of the data plane's store is what the data plane is told", () => {
  const given = ['--store', 's3', '--s3-bucket', 'builds', '--s3-endpoint', 'https://s3.example.org', '--s3-connections', '7'];
  const args = storeArgs(parseCoordinatorConfig({}, given));
  const config = parseCacheConfig({}, args);
  expect(bucketFrom(config)).toMatchObject({ bucket: 'builds', endpoint: 'https://s3.example.org', connectionsMax: 7, pathStyle: true });
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
