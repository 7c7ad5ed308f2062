import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBreaker, type Breaker } from '../../base/breaker.ts';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { expectFault, readAll } from '../../test/contract/blob-store.ts';
import { viewIn } from '../../test/contract/store-of.ts';
import { faultyObjects, PASS } from '../../test/fixtures/faulty-objects.ts';
import { openPackRig, type PackRig } from '../../test/fixtures/pack-rig.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { digestOf, type Digest } from '../digest.ts';
import { diskStores } from '../disk.ts';
import { LruDir } from '../lru-dir.ts';
import { partitionOf } from '../owner.ts';
import type { Owner } from '../store-index/store-index.ts';
import type { StoreOf } from '../store-view.ts';
import { StagingArea } from './area.ts';
import { startDrainer } from './drainer.ts';
import { missingNow } from './missing-now.ts';
import { openStaging, type Staging } from './open.ts';
import { actionsWhileAway } from './while-away.ts';

const { signal } = new AbortController();
const MAIN: Owner = { project: 'web', scope: 'main' };
const view = viewIn('web', 'main', 'build-1');

/** Where a staged blob lies. */
function fileOf(dir: string, owner: Owner, digest: Digest): string {
  return path.join(dir, 'staging', partitionOf(owner), digest.slice(0, 2), digest);
}

/** A store in a bucket that can go away, behind a staging area on a directory that stays. */
type Rig = { readonly packs: PackRig; readonly staging: Staging; readonly breaker: Breaker; down: boolean } & AsyncDisposable;

async function openRig(dir: string, limitBytes = 2 ** 20, down = false): Promise<Rig> {
  const env = { log: memoryLogger(), clock: systemClock };
  const breaker = openBreaker({
    dependency: 'bucket',
    code: 'STORE_UNAVAILABLE',
    clock: systemClock,
    prng: prngFrom(1),
    rules: { faultsInRow: 1, openMs: { initial: 20, max: 20 } },
  });
  const state = { down };
  const packs = await openPackRig({
    settings: { triesCount: 1 },
    around: (objects) =>
      faultyObjects(objects, () => {
        const end = breaker.begin();
        end(state.down ? new Fault('STORE_UNAVAILABLE', 'the bucket is down') : undefined);
        return state.down ? { kind: 'lost' } : PASS;
      }),
  });
  if (down) breaker.begin()(new Fault('STORE_UNAVAILABLE', 'the bucket is down'));
  const tier = LruDir.open({ dir: path.join(dir, 'cas'), limitBytes: 2 ** 30, durability: 'process', env });
  const near = diskStores(tier, 'process');
  const { storeOf, ownerOf } = packs.packs;
  const head = async () => {
    const end = breaker.begin();
    end(state.down ? new Fault('STORE_UNAVAILABLE', 'the bucket is down') : undefined);
    return undefined;
  };
  const staging = await openStaging(
    { dir, staging: { bytes: limitBytes, dir: undefined }, storeOf, missing: missingNow(near, ownerOf), objects: { head }, breaker },
    env,
  );
  return {
    packs,
    staging,
    breaker,
    get down() {
      return state.down;
    },
    set down(value) {
      state.down = value;
    },
    async [Symbol.asyncDispose]() {
      await staging[Symbol.asyncDispose]();
      await packs[Symbol.asyncDispose]();
      await tier[Symbol.asyncDispose]();
    },
  };
}

describe('uploads while the store is away', () => {
  test('are taken, told apart from stored ones, read from the disk, and moved into the store when it is back', async () => {
    await using dir = await tempDir();
    await using rig = await openRig(dir.path);
    const [stored, staged] = [randomBytes(1_000), randomBytes(2_000)];
    const store = rig.staging.storeOf(view);
    await store.put(digestOf(stored), stored, signal);
    expect(await rig.staging.holdsAny(view, [digestOf(stored)], signal)).toBe(false);
    rig.down = true;
    await store.put(digestOf(staged), staged, signal);
    expect(await rig.staging.holdsAny(view, [digestOf(stored), digestOf(staged)], signal)).toBe(true);
    expect((await readAll(store, digestOf(staged))).equals(staged)).toBe(true);
    expect(await rig.packs.packs.storeOf(view).findMissing([digestOf(staged)], signal)).toEqual([digestOf(staged)]);
    expect(rig.staging.state()).toMatchObject({ blobs: 1, bytes: 2_000, stagedCount: 1, drained: 0 });
    expect(rig.staging.state().away).toBe('the bucket is down');
    rig.down = false;
    await until('it is drained', () => rig.staging.state().blobs === 0 && rig.staging.state().away === undefined);
    expect(await rig.packs.packs.storeOf(view).findMissing([digestOf(staged)], signal)).toEqual([]);
    expect((await readAll(store, digestOf(staged))).equals(staged)).toBe(true);
    expect(await rig.staging.holdsAny(view, [digestOf(staged)], signal)).toBe(false);
    expect(rig.staging.state()).toMatchObject({ bytes: 0, drained: 1, dropped: 0 });
    // Under the name of who stored it, by whom purges go.
    const packs = await rig.packs.index.packs({ owner: MAIN, state: 'live' }, undefined, 10, signal);
    expect(packs.map(({ producer }) => producer)).toEqual(['build-1', 'build-1']);
  });

  test('stay in their scope: neither others nor scopes above see them, before the store is back and after', async () => {
    await using dir = await tempDir();
    await using rig = await openRig(dir.path, 2 ** 20, true);
    const bytes = randomBytes(500);
    const digest = digestOf(bytes);
    const pr = viewIn('web', 'main/pr-7', 'build-pr');
    await rig.staging.storeOf(pr).put(digest, bytes, signal);
    const others = [view, viewIn('web', 'main/pr-8'), viewIn('other', 'main/pr-7')];
    for (const other of others) {
      expect(await rig.staging.storeOf(other).findMissing([digest], signal)).toEqual([digest]);
      expect(await rig.staging.holdsAny(other, [digest], signal)).toBe(false);
      await expectFault('BLOB_UNKNOWN', readAll(rig.staging.storeOf(other), digest));
    }
    rig.down = false;
    await until('it is drained', () => rig.staging.state().blobs === 0);
    for (const other of others) await expectFault('BLOB_UNKNOWN', readAll(rig.staging.storeOf(other), digest));
    expect((await readAll(rig.staging.storeOf(pr), digest)).equals(bytes)).toBe(true);
  });

  test('beyond the bound are refused and counted, and what was taken stays', async () => {
    await using dir = await tempDir();
    await using rig = await openRig(dir.path, 65_536, true);
    const store = rig.staging.storeOf(view);
    const [first, second] = [randomBytes(60_000), randomBytes(10_000)];
    await store.put(digestOf(first), first, signal);
    await expectFault('BUCKET_UNAVAILABLE', store.put(digestOf(second), second, signal));
    await store.put(digestOf(first), first, signal); // it is there already
    expect((await readAll(store, digestOf(first))).equals(first)).toBe(true);
    expect(rig.staging.state()).toMatchObject({ blobs: 1, bytes: 60_000, refusedCount: 1 });
  });

  test('are there again after a restart, with the store away all the time', async () => {
    await using dir = await tempDir();
    const bytes = randomBytes(300_000);
    {
      await using rig = await openRig(dir.path, 2 ** 20, true);
      await rig.staging.storeOf(view).put(digestOf(bytes), bytes, signal);
    }
    await using again = await openRig(dir.path, 2 ** 20, true);
    expect(again.staging.state()).toMatchObject({ blobs: 1, bytes: 300_000 });
    expect((await readAll(again.staging.storeOf(view), digestOf(bytes))).equals(bytes)).toBe(true);
    again.down = false;
    await until('it is drained', () => again.staging.state().drained === 1);
  });

  test('whose bytes are wrong by then are dropped and counted, and stop no others', async () => {
    await using dir = await tempDir();
    await using rig = await openRig(dir.path, 2 ** 20, true);
    const all = [randomBytes(100), randomBytes(200), randomBytes(300)];
    for (const bytes of all) await rig.staging.storeOf(view).put(digestOf(bytes), bytes, signal);
    fs.writeFileSync(fileOf(dir.path, MAIN, digestOf(all[0] ?? Buffer.alloc(0))), Buffer.alloc(100));
    rig.down = false;
    await until('they are gone', () => rig.staging.state().blobs === 0);
    expect(rig.staging.state()).toMatchObject({ drained: 2, dropped: 1 });
  });
});

test('what came first is moved first, and while the first one fails no other is tried', async () => {
  await using dir = await tempDir();
  const env = { log: memoryLogger(), clock: { now: () => (time += 10), monotonic: () => systemClock.monotonic() } };
  let time = 1_000;
  await using area = await StagingArea.open({ dir: dir.path, limitBytes: 2 ** 20, env });
  const blobs = Array.from({ length: 20 }, (_, index) => Buffer.from(`blob ${index}`));
  for (const bytes of blobs) await area.put(view, digestOf(bytes), bytes, signal);
  const tried: Digest[] = [];
  let failures = 2;
  const storeOf: StoreOf = () => ({
    traits: { durability: 'none', shared: false },
    get: () => {
      throw new Error('nobody reads');
    },
    findMissing: async () => [],
    put: async (digest) => {
      tried.push(digest);
      if (failures > 0) {
        failures -= 1;
        throw new Fault('STORE_UNAVAILABLE', 'not yet');
      }
    },
  });
  const breaker = openBreaker({ dependency: 'bucket', code: 'STORE_UNAVAILABLE', clock: systemClock, prng: prngFrom(1) });
  await using drainer = startDrainer({ area, storeOf, breaker, probe: async () => {}, env, everyMs: 5 });
  await until('all are moved', () => drainer.counts.drained === 20);
  const [first, ...others] = blobs.map((bytes) => digestOf(bytes));
  expect(tried).toEqual([first, first, first, ...others]);
  expect(area.isEmpty).toBe(true);
});

describe('lookups of results', () => {
  const key = { project: 'web', scope: 'main', action: digestOf(Buffer.from('action')) };
  const never = { get: () => new Promise<undefined>(() => {}), put: async () => Promise.reject(new Error('nobody writes')) };

  test('that are not answered in time are misses, and counted', async () => {
    const counts = { missed: 0 };
    const actions = actionsWhileAway(never, { isAway: () => false, counts, log: memoryLogger(), deadlineMs: 10 });
    expect(await actions.get(key, signal)).toBeUndefined();
    expect(counts.missed).toBe(1);
  });

  test('are misses at once while the store is away', async () => {
    const counts = { missed: 0 };
    const actions = actionsWhileAway(never, { isAway: () => true, counts, log: memoryLogger(), deadlineMs: 3_600_000 });
    expect(await actions.get(key, signal)).toBeUndefined();
    expect(counts.missed).toBe(1);
  });

  test('of what processes of ours keep are never misses: that would say that it is not there', async () => {
    const counts = { missed: 0 };
    const away = { ...never, get: () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'away')) };
    const actions = actionsWhileAway(away, { isAway: () => true, counts, log: memoryLogger() });
    await expectFault('BUCKET_UNAVAILABLE', actions.get({ ...key, scope: '.builds' }, signal));
    expect(counts.missed).toBe(0);
  });

  test('that their caller gives up are no misses', async () => {
    const control = new AbortController();
    const actions = actionsWhileAway(never, { isAway: () => false, counts: { missed: 0 }, log: memoryLogger() });
    const asked = actions.get(key, control.signal);
    control.abort(new Fault('CANCELLED', 'no more'));
    await expectFault('CANCELLED', asked);
  });
});
