import { CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { startFakeS3, type FakeS3 } from '../../test/fixtures/fake-s3.ts';
import { Round } from '../gc/gc.ts';
import { openEpoch } from '../gc/open-epoch.ts';
import { GC_SETTINGS } from '../gc/settings.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import { openS3Objects } from './s3.ts';

const { signal } = new AbortController();
const HOUR = 3_600_000;

/** A bucket with uploads that nobody ends: two packs of ours, one of somebody else's prefix. */
async function openBucket(fake: FakeS3) {
  const env = { log: memoryLogger(), clock: systemClock };
  const { accessKeyId, secretAccessKey } = fake.traits.keys;
  using client = disposable(
    new S3Client({ region: 'us-east-1', endpoint: fake.endpoint, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } }),
  );
  for (const Key of ['yard/p/aa/1', 'yard/p/bb/2', 'other/p/aa/1', 'yard/x/1'])
    await client.send(new CreateMultipartUploadCommand({ Bucket: fake.bucket, Key }));
  const objects = await openS3Objects({ config: { ...fake.config, prefix: 'yard/' }, env, tuning: { pageSize: 1 } }, signal);
  return { objects, log: env.log };
}

function disposable(client: S3Client): S3Client & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() });
}

const keysOf = (fake: FakeS3) => [...fake.uploads.values()].map((upload) => (upload as { readonly key: string }).key).toSorted();

test('uploads in parts that nobody ended are thrown away below the prefix, page after page, once they are old enough', async () => {
  await using fake = await startFakeS3();
  const { objects } = await openBucket(fake);
  await using _ = objects;
  expect(await objects.abortUploads('p/', systemClock.now() - HOUR, signal)).toBe(0);
  expect(fake.uploads.size).toBe(4);
  expect(await objects.abortUploads('p/', systemClock.now() + HOUR, signal)).toBe(2);
  expect(keysOf(fake)).toEqual(['other/p/aa/1', 'yard/x/1']);
});

test.for([403, 501])('an endpoint that does not tell of uploads (%i) is left as it is, and said so', async (status) => {
  await using fake = await startFakeS3();
  const { objects, log } = await openBucket(fake);
  await using _ = objects;
  fake.decide = ({ query }) => (query.has('uploads') ? { kind: 'refuse', status, code: 'AccessDenied' } : undefined);
  expect(await objects.abortUploads('p/', systemClock.now() + HOUR, signal)).toBe(0);
  expect(log.entries.map(({ event }) => event)).toContain('s3-uploads-not-listed');
});

test('an endpoint that is away is a fault', async () => {
  await using fake = await startFakeS3();
  const { objects } = await openBucket(fake);
  await using _ = objects;
  fake.decide = () => ({ kind: 'refuse', status: 400, code: 'Broken' });
  await expect(objects.abortUploads('p/', 0, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('garbage collection throws them away a day after they were begun, once a day, and counts them', async () => {
  await using fake = await startFakeS3();
  const { objects } = await openBucket(fake);
  await using _ = objects;
  let aheadMs = 0;
  const clock = { now: () => systemClock.now() + aheadMs, monotonic: () => systemClock.monotonic() };
  await using index = memoryStoreIndex({ clock, ready: false });
  const env = { log: memoryLogger(), clock };
  await openEpoch({ objects, index, env, graceMs: GC_SETTINGS.graceMs }, signal);
  const { epoch } = await index.epoch(signal);
  await index.complete(epoch, signal);
  const round = new Round({ objects, index, settings: GC_SETTINGS, env, prng: prngFrom(1), scrubEveryMs: 0 });
  await round.run(signal);
  expect([round.state().counts.uploadsAborted, round.state().lastError]).toEqual([0, undefined]);
  aheadMs = GC_SETTINGS.orphanMs + HOUR;
  await round.run(signal);
  expect(round.state().counts.uploadsAborted).toBe(2);
  expect(round.state().markedAt).toBeGreaterThan(systemClock.now());
  expect(keysOf(fake)).toEqual(['other/p/aa/1', 'yard/x/1']);
});
