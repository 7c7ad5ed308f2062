import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { NO_USAGE, type StepResult } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { chunked, expectFault, readAll } from '../contract/blob-store.ts';
import { startFakeS3, type FakeS3, type FakeTraits } from '../fixtures/fake-s3.ts';
import { startS3DataPlane } from '../fixtures/s3-data-plane.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

/* Data planes as processes over a bucket: killed between two steps of a save, and with endpoints that lack what newer ones have. */

const { signal } = new AbortController();

function resultOf(digest: Digest): StepResult {
  const outputs = [{ kind: 'file', path: 'out', digest, executable: false }] as const;
  return { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'edge-1', startedAt: 1, endedAt: 2 };
}

/** From now on the bucket does every put below the prefix, and its writer waits for the answer: it cannot ask again whether it was done. */
function keepAnswersOf(s3: FakeS3, prefix: string): void {
  s3.decide = ({ method, key }) => (method === 'PUT' && key.startsWith(prefix) ? { kind: 'do-and-hang' } : undefined);
}

const keysBelow = (s3: FakeS3, prefix: string) => [...s3.objects.keys()].filter((key) => key.startsWith(prefix));

describe('a data plane that is killed', () => {
  test('between a pack and its commit shows nothing of it, and what was on its way can be stored again', async () => {
    await using s3 = await startFakeS3();
    await using dir = await tempDir();
    const [there, lost] = [randomBytes(3_000), randomBytes(4_000)];
    {
      await using first = await startS3DataPlane(s3, dir.path, { patienceMs: 0 });
      await first.plane.store.put(digestOf(there), there, signal);
      const before = keysBelow(s3, 'yard/p/').length;
      keepAnswersOf(s3, 'yard/p/');
      const putting = first.plane.store.put(digestOf(lost), lost, signal).then(
        () => 'acknowledged',
        () => 'failed',
      );
      await until('its pack is in the bucket', () => keysBelow(s3, 'yard/p/').length > before);
      first.process.kill('SIGKILL');
      expect(await putting).toBe('failed');
      await first.process.ended;
    }
    s3.decide = () => undefined;
    await using second = await startS3DataPlane(s3, dir.path);
    const { store } = second.plane;
    expect(await store.findMissing([there, lost].map(digestOf), signal)).toEqual([digestOf(lost)]);
    await expectFault('BLOB_UNKNOWN', readAll(store, digestOf(lost)));
    await store.put(digestOf(lost), lost, signal);
    for (const bytes of [there, lost]) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('between a signed entry and its publishing shows nothing of it until it is whole', async () => {
    await using s3 = await startFakeS3();
    await using dir = await tempDir();
    const [bytes, action] = [randomBytes(3_000), digestOf(Buffer.from('an action'))];
    {
      await using first = await startS3DataPlane(s3, dir.path, { patienceMs: 0 });
      await first.plane.store.put(digestOf(bytes), bytes, signal);
      keepAnswersOf(s3, 'yard/e/');
      const putting = first.plane.actions.put(action, resultOf(digestOf(bytes)), signal).then(
        () => 'acknowledged',
        () => 'failed',
      );
      await until('its object is in the bucket', () => keysBelow(s3, 'yard/e/').length > 0);
      expect(await first.plane.actions.get(action, signal)).toBeUndefined();
      first.process.kill('SIGKILL');
      expect(await putting).toBe('failed');
      await first.process.ended;
    }
    s3.decide = () => undefined;
    {
      await using second = await startS3DataPlane(s3, dir.path);
      expect(await second.plane.actions.get(action, signal)).toBeUndefined();
    }
    // A new index finds the object whole, signed and with all of its packs: then it is the entry.
    await using elsewhere = await tempDir();
    await using third = await startS3DataPlane(s3, elsewhere.path, { keysDir: dir.path });
    const found = await until('the entry is taken up', () => third.plane.actions.get(action, signal));
    expect(found.outputs).toEqual(resultOf(digestOf(bytes)).outputs);
    expect((await readAll(third.plane.store, digestOf(bytes))).equals(bytes)).toBe(true);
  });
});

/** A server of before the newer checksums: it refuses what it does not know. */
function refuseChecksums(s3: FakeS3): void {
  const isNew = (name: string) => /^x-amz-(checksum|sdk-checksum|trailer)/.test(name);
  s3.decide = ({ headers }) =>
    Object.keys(headers).some(isNew) || headers['content-encoding'] !== undefined
      ? { kind: 'refuse', status: 501, code: 'NotImplemented', message: 'A header implies functionality that is not implemented' }
      : undefined;
}

const ENDPOINTS: readonly (readonly [name: string, traits: Partial<FakeTraits>])[] = [
  ['ignores conditions', { conditions: 'ignore', conditionsOfParts: 'ignore' }],
  ['refuses conditions', { conditions: 'refuse' }],
];

test.for(ENDPOINTS)(
  'an endpoint that %s and knows no checksums serves a whole cache: stored, kept once, found again by a new index',
  async ([, traits]) => {
    await using s3 = await startFakeS3(traits);
    refuseChecksums(s3);
    await using dir = await tempDir();
    const blobs = [...Array.from({ length: 40 }, (_, index) => Buffer.from(`file ${index}`)), randomBytes(2_500_000)];
    const [first, second] = [blobs[0] ?? Buffer.alloc(0), blobs[1] ?? Buffer.alloc(0)];
    const action = digestOf(Buffer.from('an action'));
    {
      await using running = await startS3DataPlane(s3, dir.path);
      const { store, actions } = running.plane;
      await Promise.all(blobs.map((bytes) => store.put(digestOf(bytes), chunked(bytes, 100_000), signal)));
      await actions.put(action, resultOf(digestOf(first)), signal);
      await actions.put(action, resultOf(digestOf(second)), signal); // the newer result of an executor counts
      expect((await actions.get(action, signal))?.outputs).toMatchObject([{ digest: digestOf(second) }]);
    }
    fs.rmSync(path.join(dir.path, 'cas'), { recursive: true });
    for (const name of fs.readdirSync(dir.path).filter((one) => one.startsWith('store-index.sqlite'))) fs.rmSync(path.join(dir.path, name));
    await using again = await startS3DataPlane(s3, dir.path);
    const { store, actions } = again.plane;
    await until('the index is whole again', async () => (await store.findMissing(blobs.map(digestOf), signal)).length === 0);
    for (const bytes of blobs) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    const found = await until('its entries are there again', () => actions.get(action, signal));
    expect(found.outputs).toMatchObject([{ digest: digestOf(second) }]);
  },
);
