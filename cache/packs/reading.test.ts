import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { faultyObjects, PASS, type ObjectCall, type ObjectFate } from '../../test/fixtures/faulty-objects.ts';
import { openPackRig, placeOf } from '../../test/fixtures/pack-rig.ts';
import { digestOf, EMPTY_DIGEST, type Digest } from '../digest.ts';
import { memoryObjects } from '../objects/memory.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Frame } from '../store-index/store-index.ts';
import { AdaptiveQueue } from './adaptive-queue.ts';
import { newPackCounters } from './counters.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import { hedgedGet } from './hedged-get.ts';
import { newPackName, packKey } from './names.ts';
import { ReadPace } from './read-pace.ts';

const { signal } = new AbortController();
const MAIN = viewIn('web', 'main');
const OWNER = { project: 'web', scope: 'main' };
const MIB = 1024 * 1024;

const fates = (decide: (call: ObjectCall) => ObjectFate | Promise<ObjectFate>) => ({
  around: (objects: ObjectStore) => faultyObjects(objects, decide),
});

/** Puts blobs one pack after the other, and says where the last one is. */
async function putAll(rig: Awaited<ReturnType<typeof openPackRig>>, blobs: readonly Uint8Array[]): Promise<void> {
  const store = rig.packs.storeOf(MAIN);
  await Promise.all(blobs.map((bytes) => store.put(digestOf(bytes), bytes, signal)));
}

describe('requests', () => {
  test('frames close together come with one request, those far apart with one each', async () => {
    await using rig = await openPackRig({ settings: { cacheBytes: 0 } });
    const blobs = Array.from({ length: 40 }, () => randomBytes(400_000));
    await putAll(rig, blobs);
    const store = rig.packs.storeOf(MAIN);
    const read = async (indexes: readonly number[]) => {
      const before = rig.packs.counters.ranges;
      await Promise.all(indexes.map((index) => readAll(store, digestOf(blobs[index] ?? Buffer.alloc(0)))));
      return rig.packs.counters.ranges - before;
    };
    expect(await read([0, 1, 2])).toBe(1);
    expect(await read([0, 4, 7])).toBe(1); // what lies between is less than half a MiB each time
    expect(await read([0, 30])).toBe(2);
  });

  test('a frame that several want is fetched once, and kept for the next', async () => {
    await using rig = await openPackRig();
    const blobs = Array.from({ length: 50 }, (_, index) => Buffer.from(`blob ${index}`));
    await putAll(rig, blobs);
    const store = rig.packs.storeOf(MAIN);
    await Promise.all(blobs.map((bytes) => readAll(store, digestOf(bytes))));
    await Promise.all(blobs.map((bytes) => readAll(store, digestOf(bytes))));
    expect(rig.packs.counters.ranges).toBe(1);
  });

  test('a part of a large blob costs about that part', async () => {
    await using rig = await openPackRig();
    const bytes = randomBytes(40 * MIB);
    await putAll(rig, [bytes]);
    const part = await readAll(rig.packs.storeOf(MAIN), digestOf(bytes), { offset: 20 * MIB, length: 100_000 });
    expect(part.equals(bytes.subarray(20 * MIB, 20 * MIB + 100_000))).toBe(true);
    expect(rig.packs.counters.rangeBytes).toBeLessThan(4 * MIB);
  });

  test('a large blob is read by many requests at once, whose bytes come in order', async () => {
    const gate = Promise.withResolvers<void>();
    let underWay = 0;
    await using rig = await openPackRig({
      ...fates(async ({ kind }) => {
        if (kind !== 'get') return PASS;
        underWay += 1;
        // The recipe comes alone; none of the others does before six are under way.
        if (underWay === 7) gate.resolve();
        if (underWay > 1) await gate.promise;
        return PASS;
      }),
      settings: { hedgeMs: 600_000 },
    });
    const bytes = randomBytes(36 * MIB);
    await putAll(rig, [bytes]);
    expect((await readAll(rig.packs.storeOf(MAIN), digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('a reader that leaves ends the requests that nobody else wants', async () => {
    const seen: AbortSignal[] = [];
    await using rig = await openPackRig({
      around: (objects) => ({
        ...objects,
        async *get(key, range, stop) {
          seen.push(stop);
          await new Promise((_, reject) => stop.addEventListener('abort', () => reject(new Fault('CANCELLED', 'left'))));
          yield* objects.get(key, range, stop);
        },
      }),
    });
    const bytes = randomBytes(1_000);
    await putAll(rig, [bytes]);
    const leaving = new AbortController();
    const read = readAll(rig.packs.storeOf(MAIN), digestOf(bytes), undefined, leaving.signal);
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort(new Fault('CANCELLED', 'enough'));
    await expectFault('CANCELLED', read);
    expect(seen.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

describe('trouble while reading', () => {
  test.for([{ kind: 'lost' }, { kind: 'cut', afterBytes: 100 }] as const)('a request that breaks ($kind) is made again', async (fate) => {
    let count = 0;
    await using rig = await openPackRig(fates(({ kind }) => (kind === 'get' && (count += 1) <= 2 ? fate : PASS)));
    const bytes = randomBytes(5_000);
    await putAll(rig, [bytes]);
    expect((await readAll(rig.packs.storeOf(MAIN), digestOf(bytes))).equals(bytes)).toBe(true);
    expect(rig.packs.counters.rangesRetried).toBe(2);
  });

  test('bytes that were damaged on their way are fetched again, and nothing is forgotten', async () => {
    let count = 0;
    await using rig = await openPackRig(
      fates(({ kind }) => (kind === 'get' && (count += 1) === 1 ? { kind: 'damage', offset: 50 } : PASS)),
    );
    const bytes = randomBytes(5_000);
    await putAll(rig, [bytes]);
    const store = rig.packs.storeOf(MAIN);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
  });

  test('damage to one blob of a frame is not that of its neighbours', async () => {
    await using rig = await openPackRig();
    const [hit, beside] = [randomBytes(5_000), randomBytes(5_000)];
    await putAll(rig, [hit, beside]);
    await rig.damage(OWNER, digestOf(hit));
    const store = rig.packs.storeOf(MAIN);
    await expectFault('BLOB_CORRUPT', readAll(store, digestOf(hit)));
    expect((await readAll(store, digestOf(beside))).equals(beside)).toBe(true);
    expect(await store.findMissing([digestOf(hit), digestOf(beside)], signal)).toEqual([digestOf(hit)]);
    expect(rig.packs.counters.blobsCorrupt).toBe(1);
  });

  test('a pack that is gone is an alarm; its blobs are unknown and can be stored again', async () => {
    await using rig = await openPackRig();
    const [bytes, large] = [randomBytes(5_000), randomBytes(3 * MIB)];
    await putAll(rig, [bytes, large]);
    for (const key of rig.objects.contents().keys()) await rig.objects.delete(key, signal);
    const store = rig.packs.storeOf(MAIN);
    for (const blob of [bytes, large]) {
      await expectFault('BLOB_UNKNOWN', readAll(store, digestOf(blob)));
      expect(await store.findMissing([digestOf(blob)], signal)).toEqual([digestOf(blob)]);
    }
    expect(rig.log.entries.filter(({ event, level }) => event === 'pack-gone' && level === 'error').length).toBeGreaterThan(0);
    expect(rig.packs.counters.packsGone).toBeGreaterThan(0);
    await putAll(rig, [bytes, large]);
    for (const blob of [bytes, large]) expect((await readAll(store, digestOf(blob))).equals(blob)).toBe(true);
  });

  test('a pack that was cut off is damage', async () => {
    await using rig = await openPackRig();
    const bytes = randomBytes(50_000);
    await putAll(rig, [bytes]);
    const [key = ''] = rig.objects.contents().keys();
    await rig.objects.put(key, rig.objects.contents().get(key)?.slice(0, 400) ?? Buffer.alloc(0), { ifAbsent: false }, signal);
    await expectFault('BLOB_CORRUPT', readAll(rig.packs.storeOf(MAIN), digestOf(bytes)));
  });
});

describe('a frame', () => {
  const frameOf = (more: Partial<Frame>): Frame => ({
    pack: newPackName(),
    offset: 0,
    storedBytes: 0,
    rawBytes: 0,
    encoding: 'zstd',
    ...more,
  });

  test.for([0, 1, 1_000, MIB])('of %i bytes comes back', async (size) => {
    for (const raw of [randomBytes(size), Buffer.alloc(size, 'text ')]) {
      const { bytes, ...encoded } = await encodeFrame(raw, { level: 3, try: true });
      expect(Buffer.compare(await decodeFrame(frameOf(encoded), bytes), raw)).toBe(0);
    }
  });

  test('that would expand to more than its row says is refused without being expanded', async () => {
    const bomb = zlib.zstdCompressSync(Buffer.alloc(256 * MIB));
    expect(bomb.byteLength).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    await expectFault('BLOB_CORRUPT', decodeFrame(frameOf({ storedBytes: bomb.byteLength, rawBytes: 1_000 }), bomb));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
    await expectFault('BLOB_CORRUPT', decodeFrame(frameOf({ storedBytes: bomb.byteLength, rawBytes: 256 * MIB }), bomb));
  });

  test('that is cut off, has more after it, or is shorter than its row says is refused', async () => {
    const { bytes, ...encoded } = await encodeFrame(Buffer.alloc(5_000, 'abcd'), { level: 3, try: true });
    const frame = frameOf(encoded);
    await expectFault('BLOB_CORRUPT', decodeFrame(frame, bytes.subarray(0, -1)));
    await expectFault('BLOB_CORRUPT', decodeFrame({ ...frame, storedBytes: bytes.byteLength - 1 }, bytes.subarray(0, -1)));
    await expectFault('BLOB_CORRUPT', decodeFrame({ ...frame, rawBytes: 5_001 }, bytes));
    await expectFault('BLOB_CORRUPT', decodeFrame({ ...frame, rawBytes: 4_999 }, bytes));
  });
});

describe('many at once', () => {
  test('each frame is read once for all its blobs; large blobs and missing ones are named', async () => {
    await using rig = await openPackRig({ settings: { cacheBytes: 8 * MIB } });
    const small = Array.from({ length: 3_000 }, (_, index) => Buffer.from(`file ${index} `.repeat(100)));
    const large = randomBytes(2 * MIB);
    await putAll(rig, [...small, large]);
    const absent = digestOf(Buffer.from('absent'));
    const got = new Map<Digest, Buffer>();
    const read = await rig.packs.getMany(
      MAIN,
      [...small.map(digestOf), digestOf(large), absent, EMPTY_DIGEST],
      (digest, bytes) => void got.set(digest, Buffer.from(bytes)),
      signal,
    );
    expect(read).toEqual({ missing: [absent], large: [digestOf(large)] });
    expect(small.every((bytes) => got.get(digestOf(bytes))?.equals(bytes) === true)).toBe(true);
    expect(got.has(EMPTY_DIGEST)).toBe(true);
    expect(rig.packs.counters.rangeBytes).toBeLessThanOrEqual(rig.packs.counters.packBytesPut);
  });

  test('a view gets what it may see, and nothing else', async () => {
    await using rig = await openPackRig();
    const bytes = randomBytes(100);
    await rig.packs.storeOf(viewIn('web', 'main/pr-7')).put(digestOf(bytes), bytes, signal);
    const refuse = () => Promise.reject(new Error('got it'));
    expect(await rig.packs.getMany(MAIN, [digestOf(bytes)], refuse, signal)).toEqual({ missing: [digestOf(bytes)], large: [] });
    expect((await rig.packs.packsOf(MAIN, [digestOf(bytes)], undefined, signal)).missing).toEqual([digestOf(bytes)]);
  });

  test('a plan names URLs, frames and blobs with which anybody can put the blobs together, and no URL outlives the hold', async () => {
    const ttls: number[] = [];
    await using rig = await openPackRig({
      around: (objects) => ({ ...objects, presignGet: (key, ttlMs) => (ttls.push(ttlMs), `https://bucket/${key}`) }),
    });
    const small = Array.from({ length: 20 }, (_, index) => Buffer.from(`file ${index} `.repeat(100)));
    const large = randomBytes(3 * MIB);
    await putAll(rig, [...small, large]);
    const { epoch } = await rig.index.epoch(signal);
    const absent = digestOf(Buffer.from('absent'));
    const hold = { id: 'attempt-1', ttlMs: 30_500, epoch };
    const plan = await rig.packs.plan(MAIN, [...small.map(digestOf), digestOf(large), absent], hold, signal);
    expect(plan.missing).toEqual([absent]);
    expect(ttls.every((ttlMs) => ttlMs <= 30_000 && ttlMs % 1_000 === 0)).toBe(true);
    const got = new Map<Digest, Uint8Array>();
    for (const { url, frames } of plan.packs) {
      const object = rig.objects.contents().get(url.replace('https://bucket/', ''));
      for (const { blobs, ...frame } of frames) {
        const stored = object?.subarray(frame.offset, frame.offset + frame.storedBytes) ?? new Uint8Array(0);
        const raw = await decodeFrame({ pack: newPackName(), ...frame }, stored);
        for (const { digest, offset, length } of blobs) got.set(digest, raw.subarray(offset, offset + length));
      }
    }
    for (const bytes of small) expect(Buffer.from(got.get(digestOf(bytes)) ?? []).equals(bytes)).toBe(true);
    expect(plan.large.map(({ digest }) => digest)).toEqual([digestOf(large)]);
    const parts = plan.large.flatMap((one) => one.parts);
    expect(Buffer.concat(parts.map((part) => got.get(part) ?? new Uint8Array(0))).equals(large)).toBe(true);
    for (const row of await rig.index.packs({}, undefined, 9, signal)) expect(row.heldUntil).toBeGreaterThan(await rig.index.now(signal));
    await expectFault('HOLD_LOST', rig.packs.plan(MAIN, [digestOf(large)], { id: 'short', ttlMs: 900, epoch }, signal));
    await expectFault('HOLD_LOST', rig.packs.plan(MAIN, [digestOf(large)], { id: 'old', ttlMs: 60_000, epoch: 'another' }, signal));
  });
});

describe('hedging', () => {
  const bytes = randomBytes(10_000);

  async function hedging(decide: (call: number) => ObjectFate | Promise<ObjectFate>, hedgeMs = 20) {
    const objects = memoryObjects({ clock: systemClock });
    const key = packKey(newPackName());
    await objects.put(key, bytes, { ifAbsent: true }, signal);
    let calls = 0;
    const counters = newPackCounters();
    const faulty = faultyObjects(objects, ({ kind }) => (kind === 'get' ? decide((calls += 1)) : PASS));
    const pace = new ReadPace(systemClock);
    const context = { objects: faulty, counters, clock: systemClock, pace, hedgeMs };
    return { get: () => hedgedGet(context, { key, offset: 0, length: bytes.byteLength }, signal), counters, pace };
  }
  const never = () => new Promise<ObjectFate>(() => {});

  test('a request that hangs is answered by a second one', async () => {
    const { get, counters } = await hedging((call) => (call === 1 ? never() : PASS));
    expect((await get()).equals(bytes)).toBe(true);
    expect(counters).toMatchObject({ hedges: 1, hedgesWon: 1 });
  });

  test('a second request that fails takes nothing from a first one that is only slow', async () => {
    const slow = Promise.withResolvers<ObjectFate>();
    const { get, counters } = await hedging((call) => {
      if (call === 1) return slow.promise;
      setTimeout(() => slow.resolve(PASS), 5);
      return { kind: 'lost' };
    });
    expect((await get()).equals(bytes)).toBe(true);
    expect(counters).toMatchObject({ hedges: 1, hedgesWon: 0 });
  });

  test('a request that fails is no reason for a second one', async () => {
    const { get, counters } = await hedging(() => ({ kind: 'lost' }));
    await expectFault('STORE_UNAVAILABLE', get());
    expect(counters.hedges).toBe(0);
  });

  test('the usual time to the first byte says what is slow, within bounds', () => {
    const pace = new ReadPace(systemClock);
    expect(pace.slowMs(2_000)).toBe(2_000);
    for (let sample = 0; sample < 200; sample += 1) pace.firstByte(300);
    expect(pace.slowMs(2_000)).toBe(300);
    for (let sample = 0; sample < 312; sample += 1) pace.firstByte(1);
    expect(pace.slowMs(2_000)).toBe(50);
  });

  test('bytes that wait behind a long turn of our own are no silence', async () => {
    // Timers stand between the two turns of the event loop.
    const came = () => new Promise<ObjectFate>((resolve) => void setImmediate(() => setImmediate(() => resolve(PASS))));
    const { get, counters } = await hedging(came);
    const reading = get();
    const until = systemClock.monotonic() + 60;
    while (systemClock.monotonic() < until); // what a hash of something large does
    expect((await reading).equals(bytes)).toBe(true);
    expect(counters.hedges).toBe(0);
  });

  test('while others get bytes a silent request waits its full time: the link is shared, not broken', async () => {
    const late = Promise.withResolvers<ObjectFate>();
    const { get, counters, pace } = await hedging((call) => (call === 1 ? late.promise : PASS), 60_000);
    for (let sample = 0; sample < 512; sample += 1) pace.firstByte(1);
    expect(pace.slowMs(60_000)).toBe(50);
    const busy = setInterval(() => pace.bytesCame(1_000), 5);
    setTimeout(() => late.resolve(PASS), 200);
    expect((await get()).equals(bytes)).toBe(true);
    clearInterval(busy);
    expect(counters.hedges).toBe(0);
  });

  test('second requests cost at most a twentieth of what comes, and a fixed amount to begin with', () => {
    const pace = new ReadPace(systemClock);
    let taken = 0;
    while (pace.takeSpare(MIB)) taken += 1;
    expect(taken).toBe(16);
    pace.bytesCame(100 * MIB);
    taken = 0;
    while (pace.takeSpare(MIB)) taken += 1;
    expect(taken).toBe(5);
  });
});

describe('the number of requests at once', () => {
  test('grows while the endpoint takes them and others wait, up to its bound, and halves when it refuses', async () => {
    const queue = new AdaptiveQueue(8, 32);
    expect(queue.width).toBe(8);
    await Promise.all(Array.from({ length: 2_000 }, () => queue.run(async () => {}, signal)));
    expect(queue.width).toBe(32);
    const refused = Array.from({ length: 20 }, () => queue.run(() => Promise.reject(new Fault('STORE_UNAVAILABLE', 'slow down')), signal));
    await Promise.allSettled(refused);
    expect(queue.width).toBe(16); // all were under way at once: one refusal
    for (let round = 0; round < 5; round += 1)
      await queue.run(() => Promise.reject(new Fault('STORE_UNAVAILABLE', 'slow down')), signal).catch(() => {});
    expect(queue.width).toBe(8);
  });

  test('does not grow while one request is enough', async () => {
    const queue = new AdaptiveQueue(8, 32);
    for (let count = 0; count < 500; count += 1) await queue.run(async () => {}, signal);
    expect(queue.width).toBe(8);
  });
});

test('a row that points at a wrong place gives no wrong bytes', async () => {
  await using rig = await openPackRig();
  const [one, other] = [Buffer.from('one blob, of some length'), Buffer.from('another, of just as much')];
  await putAll(rig, [one, other]);
  const place = await placeOf(rig.index, OWNER, digestOf(other));
  const [{ name } = {}] = await rig.index.packs({}, undefined, 1, signal);
  if (name === undefined) throw new Error('no pack');
  await rig.index.forget(OWNER, [{ digest: digestOf(one), pack: name }], signal);
  const begunAt = await rig.index.now(signal);
  const liar = { name: newPackName(), owner: OWNER, sizeBytes: 1, producer: '', begunAt, rows: [{ digest: digestOf(one), place }] };
  await rig.index.addPack(liar, undefined, signal);
  await expectFault('BLOB_CORRUPT', readAll(rig.packs.storeOf(MAIN), digestOf(one)));
});
