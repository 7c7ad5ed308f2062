import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { chunked, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { storeOfContract, viewIn } from '../../test/contract/store-of.ts';
import { openPackRig } from '../../test/fixtures/pack-rig.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { digestOf, type Digest } from '../digest.ts';
import { diskStores } from '../disk.ts';
import { LruDir } from '../lru-dir.ts';
import { memoryStore, memoryStores } from '../memory.ts';
import { partitionOf } from '../owner.ts';
import type { Owner } from '../store-index/store-index.ts';
import { StagingArea } from './area.ts';
import { missingNow } from './missing-now.ts';
import { withStaging } from './with-staging.ts';

const { signal } = new AbortController();

/** Where a staged blob lies. */
function fileOf(dir: string, owner: Owner, digest: Digest): string {
  return path.join(dir, 'staging', partitionOf(owner), digest.slice(0, 2), digest);
}

storeOfContract({
  name: 'a staging area in front of a store that is away',
  damageable: true,
  async open() {
    const dir = await tempDir();
    const env = { log: memoryLogger(), clock: systemClock };
    const packs = await openPackRig();
    const tier = LruDir.open({ dir: path.join(dir.path, 'cas'), limitBytes: 2 ** 30, durability: 'process', env });
    const area = await StagingArea.open({ dir: path.join(dir.path, 'staging'), limitBytes: 2 ** 30, env });
    return {
      storeOf: withStaging({
        next: packs.packs.storeOf,
        missing: missingNow(diskStores(tier, 'process'), packs.packs.ownerOf),
        area,
        isAway: () => true,
      }),
      damage(owner, digest) {
        const file = fileOf(dir.path, owner, digest);
        const bytes = fs.readFileSync(file);
        bytes[Math.floor(bytes.byteLength / 2)] = (bytes[Math.floor(bytes.byteLength / 2)] ?? 0) ^ 0x55;
        fs.writeFileSync(file, bytes);
      },
      async [Symbol.asyncDispose]() {
        await area[Symbol.asyncDispose]();
        await tier[Symbol.asyncDispose]();
        await packs[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  },
});

/** In front of a store that is thought to be there, and does with each put what `put` says. */
async function openBroken(put: () => Promise<void>) {
  const dir = await tempDir();
  const env = { log: memoryLogger(), clock: systemClock };
  const area = await StagingArea.open({ dir: dir.path, limitBytes: 2 ** 30, env });
  const next = memoryStore();
  const storeOf = withStaging({
    next: () => ({
      traits: next.traits,
      get: (digest, range, stop) => next.get(digest, range, stop),
      findMissing: (digests, stop) => next.findMissing(digests, stop),
      put,
    }),
    missing: async (_, digests) => digests,
    area,
    isAway: () => false,
    patienceMs: 20,
  });
  const stack = new AsyncDisposableStack();
  stack.use(dir);
  stack.use(area);
  return { store: storeOf(viewIn('web', 'main')), area, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('a blob in one piece that the store does not take, or not in time, is staged', async () => {
  for (const put of [() => Promise.reject(new Fault('STORE_UNAVAILABLE', 'away')), () => new Promise<void>(() => {})]) {
    await using at = await openBroken(put);
    const bytes = Buffer.from('bytes');
    await at.store.put(digestOf(bytes), bytes, signal);
    expect(at.area.totals().blobs).toBe(1);
    expect((await readAll(at.store, digestOf(bytes))).equals(bytes)).toBe(true);
  }
});

test('what is wrong with a blob is no reason to stage it, and a stream that breaks off is to be sent again', async () => {
  await using wrong = await openBroken(() => Promise.reject(new Fault('DIGEST_MISMATCH', 'other bytes')));
  const bytes = Buffer.from('bytes');
  await expectFault('DIGEST_MISMATCH', wrong.store.put(digestOf(bytes), bytes, signal));
  await using broken = await openBroken(() => Promise.reject(new Fault('STORE_UNAVAILABLE', 'away')));
  await expectFault('BUCKET_UNAVAILABLE', broken.store.put(digestOf(bytes), chunked(bytes, 2), signal));
  expect([wrong.area.isEmpty, broken.area.isEmpty]).toEqual([true, true]);
});

test('while the store is away a copy close by counts as there only where the store has the blob, as far as its index answers', async () => {
  await using packs = await openPackRig();
  const local = memoryStores();
  const view = viewIn('web', 'main');
  const [stored, copied] = [Buffer.from('stored'), Buffer.from('copied')];
  await packs.packs.storeOf(view).put(digestOf(stored), stored, signal);
  for (const bytes of [stored, copied]) await local(view).put(digestOf(bytes), bytes, signal);
  const asked = [stored, copied, Buffer.alloc(0)].map(digestOf);
  expect(await missingNow(local, packs.packs.ownerOf)(view, asked, signal)).toEqual([digestOf(copied)]);
  expect(await missingNow(memoryStores(), packs.packs.ownerOf)(view, asked, signal)).toEqual([digestOf(stored), digestOf(copied)]);
  const silent = () => Promise.reject(new Fault('STORE_UNAVAILABLE', 'the index is away'));
  expect(await missingNow(local, silent)(view, asked, signal)).toEqual([digestOf(stored), digestOf(copied)]);
});
