import { readFileSync } from 'node:fs';
import { Fault, isFault } from '../fault.ts';
import type { OptionSpec } from '../options.ts';
import { Secret } from '../secret.ts';
import { reasonOf } from '../thrown.ts';
import { parseTarget, type RedisTarget } from './target.ts';

/** The options that say which Redis and how it is reached, for the tables of processes that use one. */
export const REDIS_OPTIONS = {
  redisUrl: {
    type: 'string',
    help:
      'The Redis: redis://host:port/db, rediss:// for TLS, redis-cluster://a:6379,b:6379, ' +
      'redis-sentinel://a:26379,b:26379/master/db or unix:///socket.',
  },
  redisUser: { type: 'string', help: 'User (ACL) at Redis, where the URL names none.' },
  redisPasswordFile: { type: 'path', help: 'File with the password at Redis; a final newline does not count.' },
  redisSentinelPasswordFile: { type: 'path', help: 'File with the password at the sentinels, where they have one.' },
  redisPrefix: {
    type: 'string',
    default: 'switchyard',
    help: 'What all keys begin with, in braces; coordinators with the same prefix are one yard.',
  },
  redisCaFile: { type: 'path', help: 'PEM file of the authorities that may have signed the certificate of Redis.' },
  redisCertFile: { type: 'path', help: 'PEM file of the certificate that is shown to Redis.' },
  redisKeyFile: { type: 'path', help: 'PEM file of the key of that certificate.' },
  redisServerName: { type: 'string', help: 'Name that the certificate of Redis must have, where it is not the host of the URL.' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** What `REDIS_OPTIONS` give. */
export type RedisOptionValues = {
  readonly redisUrl: string | undefined;
  readonly redisUser: string | undefined;
  readonly redisPasswordFile: string | undefined;
  readonly redisSentinelPasswordFile: string | undefined;
  readonly redisPrefix: string;
  readonly redisCaFile: string | undefined;
  readonly redisCertFile: string | undefined;
  readonly redisKeyFile: string | undefined;
  readonly redisServerName: string | undefined;
};

export type RedisTls = {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
  readonly serverName: string | undefined;
};

/** Everything that reaching a Redis needs to know; secrets are hidden from logs. */
export type RedisConfig = {
  readonly target: RedisTarget;
  readonly sentinelPassword: Secret | undefined;
  readonly tls: RedisTls;
  /** What all keys begin with. */
  readonly prefix: string;
};

/** The configuration; files are read now. `asker` is the option that wants a Redis. @throws {Fault} CONFIG_INVALID listing every problem. */
export function redisConfigFrom(values: RedisOptionValues, asker: string): RedisConfig {
  const problems: string[] = [];
  const target = attempt(problems, '--redis-url', () => {
    if (values.redisUrl === undefined) throw new Fault('BAD_REQUEST', `is required with ${asker}`);
    return parseTarget(values.redisUrl);
  });
  const file = (flag: string, path: string | undefined) => (path === undefined ? undefined : attempt(problems, flag, () => readText(path)));
  const password = file('--redis-password-file', values.redisPasswordFile)?.replace(/\r?\n$/, '');
  const sentinelPassword = file('--redis-sentinel-password-file', values.redisSentinelPasswordFile)?.replace(/\r?\n$/, '');
  const ca = file('--redis-ca-file', values.redisCaFile);
  const cert = file('--redis-cert-file', values.redisCertFile);
  const key = file('--redis-key-file', values.redisKeyFile);
  if ((values.redisCertFile === undefined) !== (values.redisKeyFile === undefined))
    problems.push('--redis-cert-file and --redis-key-file belong together');
  const usesTls = [values.redisCaFile, values.redisCertFile, values.redisServerName].some((value) => value !== undefined);
  if (target !== undefined && !target.tls && usesTls)
    problems.push('--redis-url begins with redis, but TLS files are given: begin it with rediss');
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(values.redisPrefix))
    problems.push('--redis-prefix must be 1 to 64 letters, digits, "_", ".", ":" or "-"');
  if (problems.length > 0 || target === undefined) {
    const text = problems.map((problem) => `  ${problem}`).join('\n');
    throw new Fault('CONFIG_INVALID', `Redis cannot be used for ${asker}:\n${text}`, {
      hint: 'docs/redis.md has examples of all options.',
    });
  }
  return {
    target: {
      ...target,
      user: target.user ?? values.redisUser,
      password: target.password ?? (password === undefined ? undefined : new Secret(password)),
    },
    sentinelPassword: sentinelPassword === undefined ? undefined : new Secret(sentinelPassword),
    tls: { ca, cert, key: key === undefined ? undefined : new Secret(key), serverName: values.redisServerName },
    prefix: values.redisPrefix,
  };
}

/** What `read` gives; where it throws, `problems` says so under the flag. */
function attempt<T>(problems: string[], flag: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isFault(error)) throw error;
    problems.push(`${flag} ${error.message}`);
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault('BAD_REQUEST', `names ${path}, which cannot be read: ${reasonOf(error)}`);
  }
}
