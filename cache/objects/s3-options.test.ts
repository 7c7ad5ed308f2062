import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../base/options.ts';
import { Secret } from '../../base/secret.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { S3_OPTIONS, s3ConfigFrom, type S3OptionValues } from './s3-options.ts';

const TABLE = { program: 'cache', prefix: 'SWITCHYARD_CACHE_', about: 'A test.', options: S3_OPTIONS } as const;
const values = (argv: readonly string[], variables: Readonly<Record<string, string>> = {}): S3OptionValues =>
  parseOptions(TABLE, variables, argv);
const config = (argv: readonly string[], variables: Readonly<Record<string, string>> = {}) => s3ConfigFrom(values(argv, variables));

describe('options of a bucket', () => {
  test('say all by default that AWS needs, but the bucket', () => {
    expect(config(['--s3-bucket', 'cache'])).toEqual({
      bucket: 'cache',
      prefix: '',
      endpoint: undefined,
      region: 'us-east-1',
      pathStyle: false,
      credentials: { kind: 'chain' },
      ca: undefined,
      checksums: 'WHEN_REQUIRED',
      connectionsMax: 64,
    });
  });

  test('reach another server, each in its own way', () => {
    const argv = ['--s3-bucket', 'cache', '--s3-endpoint', 'https://s3.example.org:9000', '--s3-prefix', 'yard/a', '--s3-region', 'eu-1'];
    const more = ['--s3-checksums', 'when-supported', '--s3-connections', '3', '--s3-access-key-id', 'id'];
    const secrets = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: 'secret', SWITCHYARD_CACHE_S3_SESSION_TOKEN: 'token' };
    const read = config([...argv, ...more], secrets);
    expect(read).toMatchObject({ endpoint: 'https://s3.example.org:9000', prefix: 'yard/a/', region: 'eu-1', pathStyle: true });
    expect(read).toMatchObject({ checksums: 'WHEN_SUPPORTED', connectionsMax: 3, credentials: { kind: 'static', accessKeyId: 'id' } });
    expect(read.credentials).toMatchObject({ secretAccessKey: new Secret('secret'), sessionToken: new Secret('token') });
    expect(JSON.stringify(read)).not.toMatch(/"secret"|"token"/);
    expect(config([...argv, '--s3-addressing', 'virtual']).pathStyle).toBe(false);
    expect(config(['--s3-bucket', 'cache', '--s3-addressing', 'path']).pathStyle).toBe(true);
  });

  test('read the authorities from their file', async () => {
    await using dir = await tempDir();
    const file = join(dir.path, 'ca.pem');
    const at = ['--s3-bucket', 'cache', '--s3-endpoint', 'https://h', '--s3-ca-file', file];
    expect(() => config(at)).toThrow(/--s3-ca-file: .*ENOENT/);
    await writeFile(file, 'nothing');
    expect(() => config(at)).toThrow(/holds no certificate in PEM/);
    await writeFile(file, '-----BEGIN CERTIFICATE-----\n');
    expect(config(at).ca).toContain('BEGIN CERTIFICATE');
    expect(() => config(['--s3-bucket', 'cache', '--s3-endpoint', 'http://h', '--s3-ca-file', file])).toThrow(/begins with http:/);
  });

  test.for([
    [[], /--s3-bucket is required with --store s3/],
    [['--s3-bucket', 'a/b'], /is no name of a bucket/],
    [['--s3-bucket', 'yard--use1-az4--x-s3'], /directory buckets/],
    [['--s3-bucket', 'abc', '--s3-endpoint', 'minio:9000'], /must be a URL/],
    [['--s3-bucket', 'abc', '--s3-endpoint', 'http://user:password@h'], /must be a URL/],
    [['--s3-bucket', 'abc', '--s3-prefix', 'a//b'], /--s3-prefix must be/],
    [['--s3-bucket', 'abc', '--s3-region', 'Not A Region'], /is no region/],
    [['--s3-bucket', 'abc', '--s3-access-key-id', 'id'], /set SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY/],
  ] as const)('%j are refused with the fix', ([argv, message]) => {
    expect(() => config(argv)).toThrow(message);
  });

  test('are refused all at once', () => {
    expect(() => config(['--s3-region', '?', '--s3-endpoint', '?'], { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: 'x' })).toThrow(
      /--s3-bucket.*\n.*--s3-endpoint.*\n.*--s3-region.*\n.*give --s3-access-key-id/,
    );
  });
});
