import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import type { S3Config } from '../../cache/objects/s3-options.ts';
import { openS3Objects } from '../../cache/objects/s3.ts';
import { objectStoreContract, readObject } from '../contract/object-store.ts';
import { sharedS3, type S3Server } from '../fixtures/s3.ts';

const signal = new AbortController().signal;
const env = { log: silentLogger, clock: systemClock };
const MIB = 1024 * 1024;

let server: S3Server;
beforeAll(async () => {
  server = await sharedS3();
});
afterAll(() => server[Symbol.asyncDispose]());

objectStoreContract({
  name: 'a real S3',
  traits: { conditionalPut: process.env['SWITCHYARD_TEST_S3_CONDITIONS'] !== 'false', presigned: true, shared: true },
  // S3 takes no parts below 5 MiB but the last one.
  manyPartsBytes: 11 * MIB + 7,
  open: () => openS3Objects({ config: server.config, env, tuning: { multipartBytes: 6 * MIB, partBytes: 5 * MIB, pageSize: 7 } }, signal),
});

describe('a real S3', () => {
  test('takes checksums with every request where it is told to', async () => {
    await using store = await openS3Objects({ config: { ...server.config, checksums: 'WHEN_SUPPORTED' }, env }, signal);
    await store.put('checked', Buffer.from('content'), { ifAbsent: false }, signal);
    expect((await readObject(store, 'checked')).toString()).toBe('content');
  });

  // Static credentials, as the server's are.
  const without = (more: object) => ({ ...server.config, credentials: { ...server.config.credentials, ...more } }) as S3Config;
  const WRONG: readonly (readonly [string, () => S3Config, RegExp])[] = [
    ['a bucket that is not there', () => ({ ...server.config, bucket: 'there-is-no-such-bucket' }), /--s3-bucket/],
    ['an unknown key', () => without({ accessKeyId: 'unknown-access-key' }), /--s3-access-key-id/],
    ['a wrong secret', () => without({ secretAccessKey: new Secret('wrong-secret-key') }), /SECRET_ACCESS_KEY/],
  ];
  test.for(WRONG)('refuses %s by name of the option', async ([, config, message]) => {
    await expect(openS3Objects({ config: config(), env }, signal)).rejects.toThrow(message);
  });

  test.for([3_600_000, -3_600_000])('is used although our clock is %i ms ahead', async (aheadMs) => {
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    await using store = await openS3Objects({ config: server.config, env: { ...env, clock } }, signal);
    await store.put('skewed', Buffer.from('content'), { ifAbsent: false }, signal);
    expect((await store.head('skewed', signal))?.sizeBytes).toBe(7);
    expect((await fetch(store.presignGet('skewed', 60_000))).status).toBe(200);
  });
});
