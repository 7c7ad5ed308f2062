import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { chunked, expectFault, readAll } from '../contract/blob-store.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startS3DataPlane } from '../fixtures/s3-data-plane.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const { signal } = new AbortController();

/** How many blobs wait. A label without its blob, whose writer was killed between the two, stays for an hour and is none. */
function stagedBlobs(dir: string): number {
  const all = fs.readdirSync(path.join(dir, 'staging'), { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile() && !entry.name.endsWith('.by')).length;
}

test('a data plane that is killed while its bucket is away still has every upload that it acknowledged, and moves it when the bucket is back', async () => {
  await using s3 = await startFakeS3();
  await using dir = await tempDir();
  const acknowledged: Buffer[] = [];
  {
    await using first = await startS3DataPlane(s3, dir.path);
    s3.decide = () => ({ kind: 'drop' });
    const killed = new AbortController();
    const put = async (bytes: Buffer) => {
      const source = bytes.byteLength > 300_000 ? { [Symbol.asyncIterator]: () => chunked(bytes, 100_000)[Symbol.asyncIterator]() } : bytes;
      await first.plane.store.put(digestOf(bytes), source, killed.signal);
      acknowledged.push(bytes);
    };
    await put(randomBytes(2_000_000)); // as a stream, which the bucket breaks off at first
    const rows = Array.from({ length: 4 }, async () => {
      for (;;) await put(randomBytes(5_000));
    });
    await until('some were acknowledged', () => acknowledged.length > 100);
    first.process.kill('SIGKILL');
    killed.abort(); // nobody waits for the next one
    expect((await Promise.allSettled(rows)).every(({ status }) => status === 'rejected')).toBe(true);
    await first.process.ended;
  }
  await using second = await startS3DataPlane(s3, dir.path);
  for (const bytes of acknowledged) expect((await readAll(second.plane.store, digestOf(bytes))).equals(bytes)).toBe(true);
  expect([...s3.objects.keys()].some((key) => key.startsWith('yard/p/'))).toBe(false);
  s3.decide = () => undefined;
  await until('they are in packs', () => [...s3.objects.keys()].some((key) => key.startsWith('yard/p/')));
  await until('nothing is staged any more', () => stagedBlobs(dir.path) === 0);
  fs.rmSync(path.join(dir.path, 'cas'), { recursive: true }); // all of it comes from the bucket now
  for (const bytes of acknowledged) expect((await readAll(second.plane.store, digestOf(bytes))).equals(bytes)).toBe(true);
});

test('beyond the bound uploads are refused as unavailable, and taken again when there is room', async () => {
  await using s3 = await startFakeS3();
  await using dir = await tempDir();
  await using at = await startS3DataPlane(s3, dir.path, { patienceMs: 200, args: ['--staging-bytes', '65536'] });
  s3.decide = () => ({ kind: 'drop' });
  const [first, second] = [randomBytes(60_000), randomBytes(20_000)];
  await at.plane.store.put(digestOf(first), first, signal);
  await expectFault('BUCKET_UNAVAILABLE', at.plane.store.put(digestOf(second), second, signal));
  s3.decide = () => undefined;
  await until('there is room again', () => at.plane.store.put(digestOf(second), second, signal).then(() => true));
  for (const bytes of [first, second]) expect((await readAll(at.plane.store, digestOf(bytes))).equals(bytes)).toBe(true);
});
