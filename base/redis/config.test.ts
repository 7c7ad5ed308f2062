import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { redisConfigFrom as configFrom, type RedisOptionValues } from './config.ts';
import { describeTarget, parseTarget } from './target.ts';

const redisConfigFrom = (values: RedisOptionValues) => configFrom(values, '--ledger redis');

const VALUES: RedisOptionValues = {
  redisUrl: 'redis://localhost',
  redisUser: undefined,
  redisPasswordFile: undefined,
  redisSentinelPasswordFile: undefined,
  redisPrefix: 'switchyard',
  redisCaFile: undefined,
  redisCertFile: undefined,
  redisKeyFile: undefined,
  redisServerName: undefined,
};

it.for([
  ['redis://localhost', 'localhost:6379', 0, false],
  ['redis://ann:s%40cret@10.0.0.1:7000/3', '10.0.0.1:7000', 3, false],
  ['rediss://[::1]:7000', '::1:7000', 0, true],
  ['redis-cluster://a:1,b:2', 'the cluster of a:1, b:2', 0, false],
  ['rediss-cluster://a,b', 'the cluster of a:6379, b:6379', 0, true],
  ['redis-sentinel://:pw@a,b:2/yard/5', 'yard of the sentinels a:26379, b:2', 5, false],
  ['unix:///run/redis.sock', '/run/redis.sock', 0, false],
] as const)('reads %s', ([url, where, database, tls]) => {
  const target = parseTarget(url);
  expect(describeTarget(target)).toBe(where);
  expect(target).toMatchObject({ database, tls });
});

it('reads user and password of a URL, and shows neither', () => {
  const config = redisConfigFrom({ ...VALUES, redisUrl: 'redis://ann:s%40cret@h' });
  expect(config.target.user).toBe('ann');
  expect(config.target.password?.reveal()).toBe('s@cret');
  expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toContain('s@cret');
});

it.for([
  ['http://h', /--redis-url must be redis:\/\/host/],
  ['redis://h:99999', /--redis-url has something else than host:port as host 1/],
  ['redis://a,b', /--redis-url lists several hosts/],
  ['redis://h/x', /--redis-url has "x" where the number of a database belongs/],
  ['redis-cluster://a/1', /a cluster has database 0 only/],
  ['redis-sentinel://a', /names the master after the sentinels/],
  ['redis://ann:p%w@h', /begins no %XX/],
] as const)('refuses %s and says why', ([url, why]) => {
  expect(() => redisConfigFrom({ ...VALUES, redisUrl: url })).toThrow(why);
});

it.for([
  'redis://u:hunter2/@h',
  'redis://u:x@hunter2@h',
  'redis://:hunter2',
  'redis://u:x/hunter2@h:1',
  'redis-cluster://a,:hunter2',
] as const)('shows nothing of a password that is not where it belongs: %s', (url) => {
  try {
    redisConfigFrom({ ...VALUES, redisUrl: url });
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('hunter2');
  }
});

it('lists every problem at once, and never a password', () => {
  const values = { ...VALUES, redisUrl: 'redis://u:hunter2@h:0', redisCertFile: '/nowhere', redisPrefix: '{x}' };
  try {
    redisConfigFrom(values);
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/--redis-url[^]*--redis-cert-file names[^]*belong together[^]*--redis-prefix/),
    });
    expect(inspect(error)).not.toContain('hunter2');
  }
});

it('says that the URL is missing, and that TLS files want a rediss URL', async () => {
  await using dir = await tempDir();
  const ca = join(dir.path, 'ca.pem');
  await writeFile(ca, 'x');
  expect(() => redisConfigFrom({ ...VALUES, redisUrl: undefined })).toThrow(/--redis-url is required with --ledger redis/);
  expect(() => redisConfigFrom({ ...VALUES, redisCaFile: ca })).toThrow(/begin it with rediss/);
});

it('takes the password of a file without its final newline', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'password');
  await writeFile(path, 'from a file\n');
  expect(redisConfigFrom({ ...VALUES, redisPasswordFile: path }).target.password?.reveal()).toBe('from a file');
});
