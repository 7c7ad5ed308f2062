import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { blobStoreContract, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { openDirectRig, type DirectRig } from '../../test/fixtures/direct-rig.ts';
import type { Misbehaviour } from '../../test/fixtures/fake-s3.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { digestOf, EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { openFileWriters } from '../layer/file-writers.ts';
import { fetchFiles } from '../layer/place-files.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;
/** A bucket that fails shows it soon. */
const HASTY = { connectMs: 500, answerMs: 300, stallMs: 300, hedgeMs: 100 };

blobStoreContract({
  name: 'a store with reads from the bucket',
  damageable: false,
  open: async () => {
    const rig = await openDirectRig();
    return { store: rig.store, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
  },
});

/** Blobs of text and of noise, in the store. */
async function putMany(rig: DirectRig, count: number, size: number): Promise<ReadonlyMap<Digest, Buffer>> {
  const blobs = new Map<Digest, Buffer>();
  for (let index = 0; index < count; index += 1) {
    const bytes = index % 2 === 0 ? randomBytes(size) : Buffer.from(`file ${index}\n`.repeat(size / 10));
    blobs.set(digestOf(bytes), bytes);
  }
  await Promise.all([...blobs].map(([digest, bytes]) => rig.own.put(digest, bytes, signal)));
  return blobs;
}

/** Reads them all in bulk, and compares. */
async function expectAll(rig: DirectRig, blobs: ReadonlyMap<Digest, Buffer>): Promise<void> {
  const left = new Map(blobs);
  for await (const { digest, bytes } of rig.store.getMany([...blobs.keys()], signal)) {
    expect(Buffer.compare(bytes, left.get(digest) ?? Buffer.from('asked once only'))).toBe(0);
    left.delete(digest);
  }
  expect([...left.keys()]).toEqual([]);
}

test('many blobs come from the bucket with few requests, and none through the store behind', async () => {
  await using rig = await openDirectRig();
  const blobs = await putMany(rig, 3_000, 2_000);
  await expectAll(rig, blobs);
  expect(rig.fallenBack).toEqual([]);
  expect(rig.fetcher.counters).toMatchObject({ blobs: 3_000, blobsDamaged: 0, blobsFallenBack: 0 });
  expect(rig.fetcher.counters.ranges).toBeLessThan(30);
  expect(rig.fetcher.isReachable).toBe(true);
});

test('what no plan names comes through the store behind, which says what is missing', async () => {
  await using rig = await openDirectRig();
  const blobs = await putMany(rig, 10, 1_000);
  const unplanned = [...blobs.keys()][3] ?? EMPTY_DIGEST;
  rig.change = (plan) => ({
    ...plan,
    frames: plan.frames.map((at) => ({ ...at, blobs: at.blobs.filter(({ digest }) => digest !== unplanned) })),
  });
  await expectAll(rig, new Map([...blobs, [EMPTY_DIGEST, Buffer.alloc(0)]]));
  expect(rig.fallenBack.map(({ digest }) => digest).toSorted()).toEqual([EMPTY_DIGEST, unplanned].toSorted());
  expect(rig.fetcher.counters.blobsFallenBack).toBe(0); // it was not in the plan
  const missing = digestOf(Buffer.from('never stored'));
  const read = async () => {
    for await (const _ of rig.store.getMany([missing], signal));
  };
  await expect(read()).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  rig.change = () => undefined;
  await expectAll(rig, blobs);
});

const ONE_SPOILT: readonly (readonly [what: string, fault: Misbehaviour])[] = [
  ['a byte is another', { kind: 'corrupt', offset: 700 }],
  ['the answer ends early', { kind: 'truncate', bytes: 100 }],
  ['the URL is refused', { kind: 'refuse', status: 403, code: 'AccessDenied' }],
  ['the object is gone', { kind: 'refuse', status: 404, code: 'NoSuchKey' }],
  ['the endpoint is asked to slow down', { kind: 'refuse', status: 503, code: 'SlowDown' }],
  ['the connection breaks', { kind: 'cut', afterBytes: 64 }],
  ['all of it comes instead of a part', { kind: 'ignore-range' }],
];

test.for(ONE_SPOILT)('every blob comes, the rest of them from the bucket, where %s', async ([, fault]) => {
  // One request at a time, so that it is known which one is spoilt.
  const settings = { ...HASTY, hedgeMs: 60_000, getCountMin: 1, getCountMax: 1, rangeBytes: MIB, triesCount: 2 };
  await using rig = await openDirectRig({ settings });
  const blobs = await putMany(rig, 400, 20_000);
  let spoilt = '';
  rig.spoil = (index, { headers }) => {
    if (index === 1) spoilt = headers.range ?? '';
    return headers.range === spoilt ? fault : undefined;
  };
  await expectAll(rig, blobs);
  expect(rig.fallenBack.length).toBeGreaterThan(0);
  expect(rig.fallenBack.length).toBeLessThan(blobs.size / 2);
  expect(rig.fetcher.counters.blobs).toBe(blobs.size - rig.fallenBack.length);
  expect(rig.fetcher.counters.blobsFallenBack).toBe(rig.fallenBack.length);
});

test('a request that stalls is made again beside it, and nothing falls back', async () => {
  await using rig = await openDirectRig({ settings: { ...HASTY, stallMs: 60_000 } });
  const blobs = await putMany(rig, 200, 20_000);
  rig.spoil = (index) => (index === 0 ? { kind: 'stall', afterBytes: 1_000 } : undefined);
  await expectAll(rig, blobs);
  expect(rig.fallenBack).toEqual([]);
  expect(rig.fetcher.counters.hedgesWon).toBeGreaterThan(0);
});

test('a frame that decodes to more than the plan says is not taken', async () => {
  await using rig = await openDirectRig();
  const bytes = Buffer.alloc(500_000, 'zeros are small when packed ');
  await rig.own.put(digestOf(bytes), bytes, signal);
  rig.change = (plan) => ({ ...plan, frames: plan.frames.map((at) => ({ ...at, frame: { ...at.frame, rawBytes: 1_000 } })) });
  await expectAll(rig, new Map([[digestOf(bytes), bytes]]));
  expect(rig.fetcher.counters).toMatchObject({ blobs: 0, blobsDamaged: 1, blobsFallenBack: 1 });
});

test('a bucket out of reach is left alone after a few requests, said once, and found again later', async () => {
  await using rig = await openDirectRig({ settings: { ...HASTY, rangeBytes: 64 * 1024, awayMs: { initial: 200, max: 200 } } });
  const blobs = await putMany(rig, 400, 20_000);
  rig.spoil = () => ({ kind: 'drop' });
  await expectAll(rig, blobs);
  expect(rig.fallenBack).toHaveLength(blobs.size);
  expect(rig.fetcher.counters.ranges).toBeLessThan(50);
  const said = () => rig.log.entries.filter(({ event }) => event === 'bucket-unreachable').length;
  expect(said()).toBeGreaterThan(0);
  expect(said(), 'once each time that it is found out of reach, and not for each request').toBeLessThan(rig.fetcher.counters.ranges / 2);
  expect(rig.fetcher.isReachable).toBe(false);
  rig.spoil = () => undefined;
  await until('it is tried again', () => rig.fetcher.mayTry);
  await expectAll(rig, blobs);
  expect(rig.fetcher.isReachable).toBe(true);
  expect(rig.log.entries.some(({ event }) => event === 'bucket-reachable')).toBe(true);
});

test('no plan is asked for while the bucket is left alone', async () => {
  await using rig = await openDirectRig({ settings: { ...HASTY, rangeBytes: 64 * 1024, awayMs: { initial: 600_000, max: 600_000 } } });
  const blobs = await putMany(rig, 400, 20_000);
  rig.spoil = () => ({ kind: 'drop' });
  await expectAll(rig, blobs);
  const { ranges } = rig.fetcher.counters;
  const plans = rig.asked.length;
  await expectAll(rig, blobs);
  expect(rig.asked.length).toBe(plans);
  expect(rig.fetcher.counters.ranges).toBe(ranges);
});

test('URLs that have ended are asked for once more, and then done without', async () => {
  await using rig = await openDirectRig();
  const blobs = await putMany(rig, 50, 1_000);
  rig.change = (plan) => ({ ...plan, worksUntil: 0 });
  await expectAll(rig, blobs);
  expect(rig.fetcher.counters).toMatchObject({ ranges: 0, blobsFallenBack: blobs.size });
  expect(rig.asked).toHaveLength(1);
});

test('a reader that leaves gives back the room of what it did not take', async () => {
  await using rig = await openDirectRig({ settings: { fetchBytes: 4 * MIB } });
  const blobs = await putMany(rig, 1_000, 20_000);
  for (let times = 0; times < 3; times += 1) {
    for await (const { bytes } of rig.store.getMany([...blobs.keys()], signal)) {
      expect(bytes.byteLength).toBeGreaterThan(0);
      break;
    }
  }
  await expectAll(rig, blobs);
  using room = await rig.fetcher.budget.take(4 * MIB, AbortSignal.timeout(1_000));
  expect(room).toBeDefined();
});

test('many files are made of frames as they are stored, each blob once, and what is damaged there comes through the store behind', async () => {
  await using rig = await openDirectRig({ settings: { ...HASTY, hedgeMs: 60_000, rangeBytes: MIB } });
  await using dir = await tempDir();
  await using writers = openFileWriters(systemClock);
  const digests = [...(await putMany(rig, 600, 20_000)).keys()];
  const place = async (name: string) => {
    mkdirSync(path.join(dir.path, name));
    const files = digests.flatMap((digest, index) =>
      ['one', 'other'].map((which) => ({ path: path.join(dir.path, name, `${index}-${which}`), digest, executable: false, mode: 0o644 })),
    );
    expect(await fetchFiles(files, rig.store, writers, signal)).toBe(digests.reduce((sum, digest) => sum + sizeOf(digest), 0));
    for (const file of files) expect(digestOf(readFileSync(file.path))).toBe(file.digest);
    return files;
  };
  const [one, other] = await place('good');
  expect(rig.fallenBack).toEqual([]);
  expect(rig.fetcher.counters).toMatchObject({ blobs: 600, blobsFallenBack: 0 });
  expect(statSync(one?.path ?? '').ino, 'files that are alike are one').toBe(statSync(other?.path ?? '').ino);
  let spoilt = '';
  rig.spoil = (_, { headers }) => {
    spoilt ||= headers.range ?? '';
    return headers.range === spoilt ? { kind: 'corrupt', offset: 700 } : undefined;
  };
  await place('mended');
  expect(rig.fallenBack.length).toBeLessThan(digests.length / 2);
});

test('pieces that large files have in common come once for all who read at the same time', async () => {
  await using rig = await openDirectRig();
  await using dir = await tempDir();
  await using writers = openFileWriters(systemClock);
  const common = [randomBytes(3 * MIB), randomBytes(3 * MIB)];
  const contents = Array.from({ length: 4 }, (_, index) => Buffer.concat([...common, Buffer.from(`end ${index}`)]));
  for (const bytes of contents) await rig.own.put(digestOf(bytes), bytes, signal);
  const files = contents.map((bytes, index) => ({
    path: path.join(dir.path, String(index)),
    digest: digestOf(bytes),
    executable: false,
    mode: 0o644,
  }));
  await fetchFiles(files, rig.store, writers, signal);
  for (const file of files) expect(digestOf(readFileSync(file.path))).toBe(file.digest);
  expect(rig.fallenBack).toEqual([]);
  expect(rig.fetcher.counters.rangeBytes).toBeLessThan(2 * 6 * MIB);
});

test('a large blob comes from the bucket, piece after piece', async () => {
  await using rig = await openDirectRig();
  const bytes = Buffer.concat([randomBytes(20 * MIB), Buffer.alloc(2 * MIB, 'again and again '), randomBytes(3 * MIB)]);
  const digest = digestOf(bytes);
  await rig.own.put(digest, bytes, signal);
  expect(Buffer.compare(await readAll(rig.store, digest), bytes)).toBe(0);
  expect(rig.fallenBack).toEqual([]);
  expect(rig.fetcher.counters.blobBytes).toBeGreaterThanOrEqual(bytes.byteLength);
});

test('a large file is made from the bucket, and not of other bytes than its own', async () => {
  await using rig = await openDirectRig();
  await using dir = await tempDir();
  await using writers = openFileWriters(systemClock);
  const bytes = randomBytes(5 * MIB);
  const digest = digestOf(bytes);
  await rig.own.put(digest, bytes, signal);
  const place = (name: string) =>
    fetchFiles([{ path: path.join(dir.path, name), digest, executable: false, mode: 0o644 }], rig.store, writers, signal);
  expect(await place('good')).toBe(bytes.byteLength);
  expect(readFileSync(path.join(dir.path, 'good')).equals(bytes)).toBe(true);
  expect(rig.fallenBack).toEqual([]);
  // One that comes with another byte is read again, and what is damaged of it through the store behind.
  rig.spoil = () => ({ kind: 'corrupt', offset: 700 });
  expect(await place('mended')).toBe(bytes.byteLength);
  expect(readFileSync(path.join(dir.path, 'mended')).equals(bytes)).toBe(true);
  expect(rig.fallenBack.length).toBeGreaterThan(0);
  rig.spoil = () => undefined;
  // Good pieces in another order are what only the digest of the whole tells.
  rig.change = (plan) => ({ ...plan, large: new Map([...plan.large].map(([of, pieces]) => [of, pieces.toReversed()])) });
  await expectFault('BLOB_CORRUPT', place('bad'));
  await expectFault('BLOB_CORRUPT', readAll(rig.store, digest));
  expect(existsSync(path.join(dir.path, 'bad'))).toBe(false);
});

test('the rest of a large blob comes through the store behind from where the bucket fails', async () => {
  await using rig = await openDirectRig({
    settings: { ...HASTY, getCountMin: 1, getCountMax: 1, awayMs: { initial: 600_000, max: 600_000 } },
  });
  const bytes = randomBytes(20 * MIB);
  const digest = digestOf(bytes);
  await rig.own.put(digest, bytes, signal);
  rig.spoil = (index) => (index < 3 ? undefined : { kind: 'drop' });
  expect(Buffer.compare(await readAll(rig.store, digest), bytes)).toBe(0);
  expect(rig.fallenBack).toHaveLength(1);
  expect(rig.fallenBack[0]?.offset).toBeGreaterThan(0);
});
