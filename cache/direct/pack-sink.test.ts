import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { startFakeS3 } from '../../test/fixtures/fake-s3.ts';
import { until } from '../../test/fixtures/until.ts';
import { directWrites } from '../direct-writes.ts';
import { digestOf, EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import type { SmallBlob } from '../layer/bulk-sink.ts';
import { openS3Objects } from '../objects/s3.ts';
import { openPackStore } from '../packs/open.ts';
import { memoryStoreIndex } from '../store-index/memory.ts';
import { packSink, type UploadPlanner } from './pack-sink.ts';
import { openDirectUploads, type UploadSettings } from './uploads.ts';

const { signal } = new AbortController();
const VIEW = viewIn('web', 'main');
const MIB = 1024 * 1024;
const ATTEMPT = { id: 'attempt', ttlMs: 60_000, isOpen: () => true };

/** A sink whose packs are taken over right here, without the network in between. */
async function openRig(changes: Partial<UploadSettings> = {}, around: (planner: UploadPlanner) => UploadPlanner = (same) => same) {
  await using stack = new AsyncDisposableStack();
  const log = memoryLogger();
  const env = { log, clock: systemClock };
  const s3 = stack.use(await startFakeS3());
  const objects = stack.use(await openS3Objects({ config: s3.config, env, prng: prngFrom(3) }, signal));
  const index = stack.use(memoryStoreIndex({ clock: systemClock }));
  const packs = stack.use(openPackStore({ objects, index, env }));
  const uploads = stack.use(openDirectUploads(env, { awayMs: { initial: 200, max: 200 }, ...changes }));
  const writes = directWrites({ objects, index, storeOf: packs.storeOf, env });
  const planner: UploadPlanner = {
    begin: (stop) => writes.begin(VIEW, stop),
    plan: (content, stop) => writes.plan(VIEW, ATTEMPT, content, stop),
    commit: (upload, stop) => writes.commit(VIEW, ATTEMPT, upload, stop),
  };
  const sink = packSink(around(planner), uploads, log);
  const store = packs.storeOf(VIEW);
  const parts = stack.move();
  return { s3, store, uploads, sink, log, packs, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

type Rig = Awaited<ReturnType<typeof openRig>>;

function blobsOf(count: number, bytes: number): ReadonlyMap<Digest, Buffer> {
  const made = Array.from({ length: count }, (_, index) => (index % 2 === 0 ? randomBytes(bytes) : Buffer.alloc(bytes, `file ${index} `)));
  return new Map(made.map((blob) => [digestOf(blob), blob]));
}

function asSmall(blobs: ReadonlyMap<Digest, Uint8Array>): readonly SmallBlob[] {
  return [...blobs].map(([digest, bytes]) => ({ digest, read: async () => bytes }));
}

async function expectThere({ store }: Rig, blobs: ReadonlyMap<Digest, Buffer>, stored: ReadonlySet<Digest>): Promise<void> {
  const missing = new Set(await store.findMissing([...blobs.keys()], signal));
  for (const digest of blobs.keys()) expect(missing.has(digest)).toBe(!stored.has(digest));
}

test('many blobs become a few packs, all of them there when it returns', async () => {
  await using rig = await openRig();
  const blobs = blobsOf(3_000, 20_000);
  const stored = await rig.sink.putMany(asSmall(blobs), signal);
  expect(stored.size).toBe(3_000);
  await expectThere(rig, blobs, stored);
  for (const [digest, bytes] of [...blobs].slice(0, 20)) expect((await readAll(rig.store, digest)).equals(bytes)).toBe(true);
  expect(rig.uploads.counters).toMatchObject({ blobs: 3_000, failed: 0 });
  expect(rig.s3.requests.filter((text) => text.startsWith('PUT u/'))).toHaveLength(rig.uploads.counters.packs);
  expect(rig.uploads.counters.packs).toBeLessThan(5);
});

test('what is not worth a pack, too large for one, or empty is left to the other way', async () => {
  await using rig = await openRig();
  const few = blobsOf(100, 20_000);
  expect(await rig.sink.putMany(asSmall(few), signal)).toEqual(new Set());
  const large = blobsOf(10, MIB);
  expect(await rig.sink.putMany(asSmall(large), signal)).toEqual(new Set());
  const enough = blobsOf(1_000, 20_000);
  const all = new Map([...large, ...enough, [EMPTY_DIGEST, Buffer.alloc(0)]]);
  const stored = await rig.sink.putMany(asSmall(all), signal);
  expect([...stored].every((digest) => enough.has(digest))).toBe(true);
  expect(stored.size).toBe(1_000);
});

test('a file that has changed, or is gone, is left out, and the others are stored', async () => {
  await using rig = await openRig();
  const blobs = blobsOf(1_000, 20_000);
  const [changed, gone] = [...blobs.keys()];
  const small = asSmall(blobs).map((blob) => {
    if (blob.digest === changed) return { ...blob, read: async () => randomBytes(sizeOf(blob.digest)) };
    return blob.digest === gone ? { ...blob, read: () => Promise.reject(new Error('ENOENT')) } : blob;
  });
  const stored = await rig.sink.putMany(small, signal);
  expect(stored.size).toBe(998);
  await expectThere(rig, blobs, stored);
});

test.for([
  ['the bucket refuses the URL', { kind: 'refuse', status: 403, code: 'AccessDenied' }],
  ['the bucket drops the connection', { kind: 'drop' }],
  ['the bucket is asked to slow down', { kind: 'refuse', status: 503, code: 'SlowDown' }],
  ['the answer is lost', { kind: 'do-and-drop' }],
] as const)('what is there is told right, and nothing throws, where %s', async ([, fault]) => {
  await using rig = await openRig({ packBytes: 2 * MIB, packRawBytes: 2 * MIB });
  const blobs = blobsOf(2_000, 20_000);
  let puts = 0;
  rig.s3.decide = ({ method, key }) => (method === 'PUT' && key.startsWith('u/') && (puts += 1) > 3 ? fault : undefined);
  const stored = await rig.sink.putMany(asSmall(blobs), signal);
  expect(stored.size).toBeGreaterThan(0);
  expect(stored.size).toBeLessThan(2_000);
  await expectThere(rig, blobs, stored);
});

test('after failures nothing is put for a while, which is said once, and then it is tried again', async () => {
  await using rig = await openRig({ packBytes: 2 * MIB, packRawBytes: 2 * MIB });
  const blobs = blobsOf(1_000, 20_000);
  rig.s3.decide = ({ method, key }) => (method === 'PUT' && key.startsWith('u/') ? { kind: 'drop' } : undefined);
  for (let times = 0; times < 4; times += 1) expect(await rig.sink.putMany(asSmall(blobs), signal)).toEqual(new Set());
  expect(rig.uploads.mayTry).toBe(false);
  expect(rig.log.entries.filter(({ event }) => event === 'bucket-takes-no-packs')).toHaveLength(1);
  rig.s3.decide = () => undefined;
  await until('it is tried again', () => rig.uploads.mayTry);
  expect((await rig.sink.putMany(asSmall(blobs), signal)).size).toBe(1_000);
  expect(rig.log.entries.some(({ event }) => event === 'bucket-takes-packs')).toBe(true);
});

test('a data plane that takes no packs, or fails, is no failure', async () => {
  const unavailable = () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'no'));
  const blobs = blobsOf(600, 20_000);
  for (const change of [{ begin: async () => undefined }, { plan: unavailable }, { commit: unavailable }]) {
    await using rig = await openRig({}, (planner) => ({ ...planner, ...change }));
    expect(await rig.sink.putMany(asSmall(blobs), signal)).toEqual(new Set());
    await expectThere(rig, blobs, new Set());
  }
});

test('a caller that gives up gets its own reason, and the room is given back', async () => {
  await using rig = await openRig();
  const blobs = blobsOf(1_000, 20_000);
  const own = new AbortController();
  rig.s3.decide = ({ method, key }) => {
    if (method !== 'PUT' || !key.startsWith('u/')) return undefined;
    own.abort(new Error('given up'));
    return { kind: 'hang' };
  };
  await expect(rig.sink.putMany(asSmall(blobs), own.signal)).rejects.toThrow('given up');
  using room = await rig.uploads.room.take(rig.uploads.settings.packCount, AbortSignal.timeout(1_000));
  expect(room).toBeDefined();
  expect(rig.uploads.mayTry).toBe(true);
});

test('many that store at once all get on, with few packs open and few bytes read', async () => {
  const reads = { bytes: 0, most: 0 };
  await using rig = await openRig({ worthBytes: 1, packCount: 2, packBytes: MIB / 4, packRawBytes: 4 * MIB, readBytes: MIB / 4 });
  /** Bytes of files are under way from the reading until all that are read with them are in a pack. */
  const watched = (blobs: ReadonlyMap<Digest, Uint8Array>): readonly SmallBlob[] =>
    [...blobs].map(([digest, bytes]) => ({
      digest,
      async read() {
        reads.bytes += bytes.byteLength;
        reads.most = Math.max(reads.most, reads.bytes);
        await new Promise((resolve) => setImmediate(resolve));
        reads.bytes -= bytes.byteLength;
        return bytes;
      },
    }));
  const all = Array.from({ length: 12 }, () => blobsOf(60, 20_000));
  const stored = await Promise.all(all.map((blobs) => rig.sink.putMany(watched(blobs), signal)));
  expect(stored.map(({ size }) => size)).toEqual(all.map(() => 60));
  expect(reads.most).toBeLessThanOrEqual(MIB / 4);
  using _rooms = await rig.uploads.reading.take(MIB / 4, AbortSignal.timeout(10_000));
});
