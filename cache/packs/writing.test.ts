import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../base/fault.ts';
import { chunked, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { faultyObjects, PASS, type ObjectCall, type ObjectFate } from '../../test/fixtures/faulty-objects.ts';
import { openPackRig } from '../../test/fixtures/pack-rig.ts';
import { systemClock } from '../../base/clock.ts';
import { digestOf } from '../digest.ts';
import type { StoreIndex } from '../store-index/store-index.ts';
import { readFooter } from './footer-reader.ts';
import { packOfKey } from './names.ts';
import { openPackStore } from './open.ts';

const { signal } = new AbortController();
const MAIN = viewIn('web', 'main');
const MIB = 1024 * 1024;

/** Text that compresses, and is not the same anywhere. */
function lines(seed: string, bytes: number): Buffer {
  let text = '';
  for (let line = 0; text.length < bytes; line += 1) text += `${seed} ${line} ${'abc'.repeat(line % 17)}\n`;
  return Buffer.from(text.slice(0, bytes));
}

const fates = (decide: (call: ObjectCall) => ObjectFate | Promise<ObjectFate>) => ({
  around: (objects: Parameters<typeof faultyObjects>[0]) => faultyObjects(objects, decide),
});

test('large blobs that are stored at once share no frame, so that reading one fetches nothing of the others', async () => {
  await using rig = await openPackRig();
  const store = rig.packs.storeOf(MAIN);
  const blobs = [0, 1, 2].map(() => randomBytes(20 * MIB));
  await Promise.all(blobs.map((bytes) => store.put(digestOf(bytes), chunked(bytes, MIB), signal)));
  const epoch = (await rig.index.epoch(signal)).epoch;
  const withUrls = { ...rig.objects, presignGet: (key: string) => key };
  await using packs = openPackStore({ objects: withUrls, index: rig.index, env: { log: rig.log, clock: systemClock } });
  for (const bytes of blobs) {
    const plan = await packs.plan(MAIN, [digestOf(bytes)], { id: 'a reader', ttlMs: 60_000, epoch }, signal);
    const frames = plan.packs.flatMap((pack) => pack.frames);
    expect(frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0)).toBeLessThan(bytes.byteLength * 1.01);
  }
});

describe('group commit', () => {
  test('blobs that many callers store at once go into one pack, in their order, and come back with one request', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const blobs = Array.from({ length: 500 }, (_, index) => lines(`blob ${index}`, 300));
    await Promise.all(blobs.map((bytes) => store.put(digestOf(bytes), bytes, signal)));
    expect(rig.packs.counters).toMatchObject({ packsPut: 1, blobsStored: 500 });
    const [key = ''] = rig.objects.contents().keys();
    const name = packOfKey(key);
    if (name === undefined) throw new Error(`${key} is no pack`);
    const footer = await readFooter(rig.objects, name, rig.objects.contents().get(key)?.byteLength ?? 0, signal);
    expect(footer.rows.map(({ digest }) => digest)).toEqual(blobs.map(digestOf));
    expect(footer).toMatchObject({ owner: { project: 'web', scope: 'main' }, producer: 'test' });
    await Promise.all(blobs.map((bytes) => readAll(store, digestOf(bytes))));
    expect(rig.packs.counters.ranges).toBe(1);
  });

  test('owners and producers never share a pack', async () => {
    await using rig = await openPackRig();
    const views = [MAIN, viewIn('web', 'main/pr-7'), viewIn('api', 'main'), viewIn('web', 'main', 'another')];
    await Promise.all(
      views.map((view, index) => rig.packs.storeOf(view).put(digestOf(lines(`${index}`, 99)), lines(`${index}`, 99), signal)),
    );
    const rows = await rig.index.packs({}, undefined, 10, signal);
    expect(rows.map(({ owner, producer }) => `${owner.project}/${owner.scope} ${producer}`).toSorted()).toEqual(
      ['api/main test', 'web/main another', 'web/main test', 'web/main/pr-7 test'].toSorted(),
    );
  });

  test('a pack is closed when it is large enough, without waiting for time to pass', async () => {
    await using rig = await openPackRig({ settings: { idleMs: 60_000, maxDelayMs: 60_000, packBytes: MIB } });
    const store = rig.packs.storeOf(MAIN);
    const blobs = Array.from({ length: 24 }, () => randomBytes(200_000));
    const puts = blobs.map((bytes) => store.put(digestOf(bytes), bytes, signal));
    await Promise.race(puts);
    await rig.packs.flush();
    await Promise.all(puts);
    expect(rig.packs.counters.packsPut).toBeGreaterThan(1);
    for (const { sizeBytes } of await rig.index.packs({}, undefined, 100, signal)) expect(sizeBytes).toBeLessThan(4 * MIB);
  });

  test('nobody is told that a blob is stored before its pack is durable and the index knows it', async () => {
    const gate = Promise.withResolvers<void>();
    await using rig = await openPackRig(
      fates(async ({ kind }) => {
        if (kind === 'put') await gate.promise;
        return PASS;
      }),
    );
    const store = rig.packs.storeOf(MAIN);
    const bytes = lines('x', 500);
    let isStored = false;
    const put = store.put(digestOf(bytes), bytes, signal).then(() => (isStored = true));
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    expect(isStored).toBe(false);
    gate.resolve();
    await put;
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
  });

  test('a caller that gives up takes nothing from the others', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const giving = new AbortController();
    const [mine, theirs] = [lines('mine', 99), lines('theirs', 99)];
    const given = store.put(digestOf(mine), mine, giving.signal);
    const kept = store.put(digestOf(theirs), theirs, signal);
    const same = store.put(digestOf(mine), mine, signal);
    giving.abort(new Fault('CANCELLED', 'given up'));
    await expectFault('CANCELLED', given);
    await Promise.all([kept, same]);
    expect(await store.findMissing([digestOf(mine), digestOf(theirs)], signal)).toEqual([]);
  });

  test('of many who store one blob at once one is read', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const bytes = lines('once', 2 * MIB);
    let read = 0;
    const source = async function* () {
      read += 1;
      yield* chunked(bytes, 65_536);
    };
    await Promise.all(Array.from({ length: 10 }, () => store.put(digestOf(bytes), source(), signal)));
    expect(read).toBe(1);
  });

  test('one whose source is wrong does not fail another who has the right bytes', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const bytes = lines('right', 300_000);
    const wrong = store.put(digestOf(bytes), chunked(lines('wrong', 300_000), 10_000), signal);
    const right = store.put(digestOf(bytes), chunked(bytes, 10_000), signal);
    await expectFault('DIGEST_MISMATCH', wrong);
    await right;
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  });
});

describe('trouble while storing', () => {
  test('a put that failed is tried again under another name, also where it took effect and nobody heard of it', async () => {
    for (const fate of [{ kind: 'lost' }, { kind: 'answer-lost' }] as const) {
      const keys: string[] = [];
      await using rig = await openPackRig(
        fates(({ kind, key }) => {
          if (kind !== 'put') return PASS;
          keys.push(key);
          return keys.length <= 2 ? fate : PASS;
        }),
      );
      const store = rig.packs.storeOf(MAIN);
      const bytes = lines('again', 1_000);
      await store.put(digestOf(bytes), bytes, signal);
      expect(new Set(keys).size).toBe(3);
      expect(rig.objects.contents().size).toBe(fate.kind === 'lost' ? 1 : 3);
      expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
      expect(rig.packs.counters.putsRetried).toBe(2);
    }
  });

  test('a bucket that takes nothing fails the callers, and leaves nothing visible', async () => {
    await using rig = await openPackRig({
      ...fates(({ kind }) => (kind === 'put' ? { kind: 'lost' } : PASS)),
      settings: { triesCount: 2 },
    });
    const store = rig.packs.storeOf(MAIN);
    const blobs = [lines('a', 100), lines('b', 3 * MIB)];
    const puts = await Promise.allSettled(blobs.map((bytes) => store.put(digestOf(bytes), bytes, signal)));
    for (const put of puts) expect(put).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } });
    expect(new Set(await store.findMissing(blobs.map(digestOf), signal))).toEqual(new Set(blobs.map(digestOf)));
  });

  test('an index that cannot be reached after the put leaves an object that nobody sees, and the put fails', async () => {
    let isAway = false;
    const aroundIndex = (index: StoreIndex): StoreIndex => ({
      ...forwarded(index),
      addPack: async (...call) => {
        if (isAway) throw new Fault('STORE_UNAVAILABLE', 'the index is away');
        await index.addPack(...call);
      },
    });
    await using rig = await openPackRig({ aroundIndex, settings: { triesCount: 2 } });
    const store = rig.packs.storeOf(MAIN);
    const bytes = lines('orphan', 1_000);
    isAway = true;
    await expectFault('STORE_UNAVAILABLE', store.put(digestOf(bytes), bytes, signal));
    expect(rig.objects.contents().size).toBeGreaterThan(0);
    isAway = false;
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
    await store.put(digestOf(bytes), bytes, signal);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  });
});

describe('large blobs', () => {
  test('a new version of a large blob costs its changed pieces only', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const old = lines('bundle', 8 * MIB);
    const changed = Buffer.concat([old.subarray(0, 3 * MIB), Buffer.from('inserted'), old.subarray(3 * MIB)]);
    await store.put(digestOf(old), chunked(old, 100_000), signal);
    const before = rig.packs.counters.pieceBytesReused;
    await store.put(digestOf(changed), chunked(changed, 100_000), signal);
    expect(rig.packs.counters.pieceBytesReused - before).toBeGreaterThan(7 * MIB);
    expect((await readAll(store, digestOf(changed))).equals(changed)).toBe(true);
  });

  test('what does not compress is kept as it is, in even pieces, and its pack is no larger than it', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const bytes = randomBytes(5 * MIB);
    await store.put(digestOf(bytes), chunked(bytes, 100_000), signal);
    expect(rig.packs.counters.packBytesPut).toBeLessThan(bytes.byteLength + 5_000);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('a blob of very many pieces has a recipe of pages, and is read in whole and in part', async () => {
    await using rig = await openPackRig({ settings: { recipeParts: 8, packBytes: 2 * MIB } });
    const store = rig.packs.storeOf(MAIN);
    const bytes = randomBytes(24 * MIB);
    await store.put(digestOf(bytes), chunked(bytes, 300_000), signal);
    expect(rig.packs.counters.packsPut).toBeGreaterThan(5);
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
    expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    for (const offset of [0, 5 * MIB + 11, 24 * MIB - 40]) {
      const part = await readAll(store, digestOf(bytes), { offset, length: 1_000_000 });
      expect(part.equals(bytes.subarray(offset, offset + 1_000_000))).toBe(true);
    }
    const { packs, missing } = await rig.packs.packsOf(MAIN, [digestOf(bytes)], undefined, signal);
    expect(missing).toEqual([]);
    expect(packs.size).toBe((await rig.index.packs({}, undefined, 100, signal)).length);
  });

  test('a large blob is not there any more once a piece of it is gone, and can be stored again', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const [old, changed] = [randomBytes(6 * MIB), randomBytes(2 * MIB)];
    const both = Buffer.concat([old, changed]);
    await store.put(digestOf(old), old, signal);
    await store.put(digestOf(both), both, signal);
    // Everything that the first upload stored goes, and with it pieces of the second.
    const [first] = (await rig.index.packs({}, undefined, 100, signal)).toSorted((a, b) => b.sizeBytes - a.sizeBytes);
    if (first === undefined) throw new Error('no pack');
    const plain = await rig.packs.packsOf(MAIN, [digestOf(both)], undefined, signal);
    expect(plain.packs.has(first.name)).toBe(true);
    const footer = await readFooter(rig.objects, first.name, first.sizeBytes, signal);
    await rig.index.forget(
      first.owner,
      footer.rows.map(({ digest }) => ({ digest, pack: first.name })),
      signal,
    );
    expect(await store.findMissing([digestOf(both)], signal)).toEqual([digestOf(both)]);
    await expectFault('BLOB_UNKNOWN', readAll(store, digestOf(both)));
    await store.put(digestOf(both), both, signal);
    expect((await readAll(store, digestOf(both))).equals(both)).toBe(true);
  });

  test('a source that ends early, or fails, leaves no blob', async () => {
    await using rig = await openPackRig();
    const store = rig.packs.storeOf(MAIN);
    const bytes = randomBytes(20 * MIB);
    await expectFault('DIGEST_MISMATCH', store.put(digestOf(bytes), chunked(bytes.subarray(0, 19 * MIB), 500_000), signal));
    const broken = async function* () {
      yield bytes.subarray(0, 18 * MIB);
      throw new Error('the source broke');
    };
    await expect(store.put(digestOf(bytes), broken(), signal)).rejects.toThrow('the source broke');
    expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('what is taken in and not yet durable stays within the budget, however much is sent', async () => {
    let underWay = 0;
    let most = 0;
    await using rig = await openPackRig({
      settings: { writeBytes: 4 * MIB, packBytes: MIB, putCount: 1 },
      around: (objects) => ({
        ...objects,
        traits: objects.traits,
        put: async (key, body, options, stop) => {
          underWay += body instanceof Uint8Array ? body.byteLength : body.lengthBytes;
          most = Math.max(most, underWay);
          await objects.put(key, body, options, stop);
          underWay -= body instanceof Uint8Array ? body.byteLength : body.lengthBytes;
        },
      }),
    });
    const bytes = randomBytes(32 * MIB);
    await rig.packs.storeOf(MAIN).put(digestOf(bytes), chunked(bytes, 1_000_000), signal);
    expect(most).toBeLessThan(5 * MIB);
    expect(rig.packs.counters.packsPut).toBeGreaterThan(10);
  });
});

/** Every method of an index, for putting something around some of them. */
function forwarded(index: StoreIndex): StoreIndex {
  return {
    traits: index.traits,
    now: (...call) => index.now(...call),
    epoch: (...call) => index.epoch(...call),
    open: (...call) => index.open(...call),
    complete: (...call) => index.complete(...call),
    addPack: (...call) => index.addPack(...call),
    locate: (...call) => index.locate(...call),
    forget: (...call) => index.forget(...call),
    extend: (...call) => index.extend(...call),
    release: (...call) => index.release(...call),
    prepare: (...call) => index.prepare(...call),
    publish: (...call) => index.publish(...call),
    dropEntry: (...call) => index.dropEntry(...call),
    entry: (...call) => index.entry(...call),
    newestEntry: (...call) => index.newestEntry(...call),
    entries: (...call) => index.entries(...call),
    knownObjects: (...call) => index.knownObjects(...call),
    usage: (...call) => index.usage(...call),
    packs: (...call) => index.packs(...call),
    condemn: (...call) => index.condemn(...call),
    condemnRecorded: (...call) => index.condemnRecorded(...call),
    mayDelete: (...call) => index.mayDelete(...call),
    deleted: (...call) => index.deleted(...call),
    dropPack: (...call) => index.dropPack(...call),
    sweep: (...call) => index.sweep(...call),
    claim: (...call) => index.claim(...call),
    replayCondemned: (...call) => index.replayCondemned(...call),
    restoreEntry: (...call) => index.restoreEntry(...call),
    [Symbol.asyncDispose]: () => index[Symbol.asyncDispose](),
  };
}
