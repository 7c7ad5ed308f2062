import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { NO_USAGE, type StepResult } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { chunked, readAll } from '../contract/blob-store.ts';
import { startFakeS3, type FakeS3 } from '../fixtures/fake-s3.ts';
import { startRedis } from '../fixtures/redis.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode, startSwitchyard } from '../fixtures/run-process.ts';
import { startS3DataPlane } from '../fixtures/s3-data-plane.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const { signal } = new AbortController();

const ACTION = digestOf(Buffer.from('an action'));
const RESULT: StepResult = {
  exitCode: 0,
  outputs: [{ kind: 'file', path: 'out', digest: digestOf(Buffer.from('file 0 ')), executable: true }],
  log: undefined,
  usage: NO_USAGE,
  agent: 'edge-1',
  startedAt: 1_700_000_000_123,
  endedAt: 1_700_000_001_000,
};

/** Small blobs, one that goes as a stream, and one of many pieces. */
function blobs(): readonly Buffer[] {
  const small = Array.from({ length: 200 }, (_, index) => Buffer.from(`file ${index} `.repeat(index + 1)));
  return [...small, randomBytes(900_000), randomBytes(3_000_000), Buffer.from(`line of a log ${'x'.repeat(40)}\n`.repeat(120_000))];
}

async function expectAll(plane: DataPlane, all: readonly Buffer[]): Promise<void> {
  expect(await plane.store.findMissing(all.map(digestOf), signal)).toEqual([]);
  const read = await Promise.all(all.map((bytes) => readAll(plane.store, digestOf(bytes))));
  expect(read.every((bytes, index) => bytes.equals(all[index] ?? Buffer.alloc(0)))).toBe(true);
}

describe('a data plane over a bucket', () => {
  test('killed in the middle of uploads, it still has everything that it acknowledged, with its directory and without', async () => {
    await using s3 = await startFakeS3({ latencyMs: 5 });
    await using dir = await tempDir();
    const acknowledged: Buffer[] = [];
    {
      await using first = await startS3DataPlane(s3, dir.path, { patienceMs: 500 });
      const put = async (bytes: Buffer) => {
        await first.plane.store.put(digestOf(bytes), bytes.byteLength > 800_000 ? chunked(bytes, 100_000) : bytes, signal);
        acknowledged.push(bytes);
      };
      await Promise.all(blobs().map(put));
      expect(acknowledged.length).toBe(203);
      await first.plane.actions.put(ACTION, RESULT, signal);
      // Uploads go on, one after the other in eight rows, until the process is killed in their middle.
      const rows = Array.from({ length: 8 }, async () => {
        for (;;) await put(randomBytes(10_000));
      });
      await until('some were acknowledged', () => acknowledged.length > 260);
      first.process.kill('SIGKILL');
      expect((await Promise.allSettled(rows)).every(({ status }) => status === 'rejected')).toBe(true);
      await first.process.ended;
    }
    expect([...s3.objects.keys()].some((key) => /^yard\/p\/[0-9a-f]{2}\/[0-9a-f]{32}$/.test(key))).toBe(true);
    {
      await using second = await startS3DataPlane(s3, dir.path);
      await expectAll(second.plane, acknowledged);
      expect(await second.plane.actions.get(ACTION, signal)).toEqual(RESULT);
    }
    await using elsewhere = await tempDir();
    await using third = await startS3DataPlane(s3, elsewhere.path, { keysDir: dir.path });
    await until(
      'the index is whole again',
      async () => (await third.plane.store.findMissing(acknowledged.map(digestOf), signal)).length === 0,
    );
    await expectAll(third.plane, acknowledged);
    expect(await until('its entries are there again', () => third.plane.actions.get(ACTION, signal))).toEqual(RESULT);
  });

  test('reads from its own disk what it has there, and from the bucket what it has not', async () => {
    await using s3 = await startFakeS3();
    await using dir = await tempDir();
    const bytes = randomBytes(2_500_000);
    const digest: Digest = digestOf(bytes);
    {
      await using plane = await startS3DataPlane(s3, dir.path);
      await plane.plane.store.put(digest, bytes, signal);
      const before = gets(s3);
      expect((await readAll(plane.plane.store, digest)).equals(bytes)).toBe(true);
      expect(gets(s3)).toBe(before);
    }
    fs.rmSync(path.join(dir.path, 'cas'), { recursive: true });
    await using again = await startS3DataPlane(s3, dir.path);
    const before = gets(s3);
    expect((await readAll(again.plane.store, digest, { offset: 2_000_000, length: 10 })).equals(bytes.subarray(2_000_000, 2_000_010))).toBe(
      true,
    );
    expect((await readAll(again.plane.store, digest)).equals(bytes)).toBe(true);
    expect(gets(s3)).toBeGreaterThan(before);
  });

  test('data planes on two hosts that share a Redis see what each other stores, also when that has lost everything', async () => {
    await using s3 = await startFakeS3();
    await using redis = await startRedis();
    await using here = await tempDir();
    await using there = await tempDir();
    const args = ['--store-index', 'redis', '--redis-url', redis.url];
    await using one = await startS3DataPlane(s3, here.path, { args });
    await using other = await startS3DataPlane(s3, there.path, { args, keysDir: here.path });
    const all = [randomBytes(3_000), randomBytes(2_000_000)];
    for (const bytes of all) await one.plane.store.put(digestOf(bytes), chunked(bytes, 100_000), signal);
    await one.plane.actions.put(ACTION, { ...RESULT, outputs: [] }, signal);
    await expectAll(other.plane, all);
    expect(await other.plane.actions.get(ACTION, signal)).toBeDefined();
    await redis.kill9();
    await redis.start({ empty: true });
    await until('the index is whole again', async () => (await other.plane.store.findMissing(all.map(digestOf), signal)).length === 0);
    expect(await until('its entries are there again', () => one.plane.actions.get(ACTION, signal))).toBeDefined();
  });

  test('a coordinator hands its bucket on to the data plane that it starts, and the secret with the environment', async () => {
    await using s3 = await startFakeS3();
    await using dir = await tempDir();
    const where = ['--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--state-dir', dir.path];
    const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket];
    await using coordinator = startSwitchyard(['coordinator', ...where, ...store, '--s3-access-key-id', s3.traits.keys.accessKeyId], {
      env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: s3.traits.keys.secretAccessKey },
    });
    await coordinator.ready();
    // The index of its data plane has marked the bucket as its own.
    expect([...s3.objects.keys()].some((key) => key.startsWith('g/'))).toBe(true);
  });

  test('refuses to start where the bucket cannot be used, and says which option is wrong', async () => {
    await using s3 = await startFakeS3();
    await using dir = await tempDir();
    await using wrong = startNode(
      [
        path.join(ROOT, 'cache/main.ts'),
        '--listen',
        '127.0.0.1:0',
        '--dir',
        dir.path,
        '--allow-local',
        '--store',
        's3',
        '--s3-endpoint',
        s3.endpoint,
      ],
      {},
    );
    expect((await wrong.ended).code).toBe(2);
    expect(wrong.stderr()).toContain('--s3-bucket is required with --store s3');
  });
});

function gets(s3: FakeS3): number {
  return s3.requests.filter((request) => request.startsWith('GET ')).length;
}
