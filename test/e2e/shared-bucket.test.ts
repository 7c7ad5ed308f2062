import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startRedis } from '../fixtures/redis.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';

const never = new AbortController().signal;

test('coordinators with one Redis and one bucket share blobs and need no common directory', { timeout: 3 * PATIENCE_MS }, async () => {
  await using dir = await tempDir();
  await using redis = await startRedis();
  await using s3 = await startFakeS3();
  const options = { cwd: dir.path, env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey } };
  const argsOf = (name: string) => [
    ...['coordinator', '--state-dir', join(dir.path, name), '--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0'],
    ...['--ledger', 'redis', '--redis-url', redis.url, '--store', 's3', '--store-index', 'redis'],
    ...['--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', s3.traits.keys.accessKeyId],
    ...['--signing-key-file', join(dir.path, 'signing-key.pem')],
  ];
  await using first = startSwitchyard(argsOf('first'), options);
  await using second = startSwitchyard(argsOf('second'), options);
  const env = { log: silentLogger, clock: systemClock };
  const planeOf = async (coordinator: typeof first) => {
    const address = String((await coordinator.ready())['dataAddress']);
    return openDataPlane({ link: { address, token: undefined }, instanceName: 'local/main', env });
  };
  await using one = await planeOf(first);
  await using other = await planeOf(second);
  const bytes = Buffer.from('from the first to the second');
  const digest = digestOf(bytes);
  await one.store.put(digest, bytes, never);
  expect(await other.store.findMissing([digest], never)).toEqual([]);

  await using foreign = startSwitchyard([...argsOf('foreign'), '--s3-prefix', 'elsewhere'], options);
  expect((await foreign.ended).code).toBe(2);
  expect(foreign.stderr()).toContain(`The bucket ${s3.bucket}/elsewhere is not the store that the other coordinators on this ledger share`);
  expect(foreign.stderr()).toContain(`The ledger belongs to the store s3:${s3.bucket}`);
});
