import { describe, expect, test } from 'vitest';
import { digestFrom, hashOf, sizeOf, type Digest } from '../../../cache/digest.ts';
import { ADD_WITHIN_MS, USE_GRAIN_MS } from '../../../cache/store-index/store-index.ts';
import { blob, BRANCH, frameOf, holdOf, MAIN, newEntry, newPack, keyOf, packName, placeIn } from '../../fixtures/store-index.ts';
import type { StoreIndexSubject } from '../store-index.ts';
import { signal, used } from './used.ts';

const [a, b] = [packName(1), packName(2)];

export function blobCases(subject: StoreIndexSubject): void {
  describe('blobs', () => {
    test('are found where they were added, with their frame, and others are not', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1), blob(2), blob(3), blob(4)]), undefined, signal);
      const found = await at.index.locate('apple', ['main'], [blob(2), blob(4), blob(9)], undefined, signal);
      expect([...found]).toEqual([
        [blob(2), placeIn(a, blob(2), 1)],
        [blob(4), placeIn(a, blob(4), 3)],
      ]);
    });

    test('keep every place exactly, whatever its sizes, encoding and kind', async () => {
      await using at = await used(subject);
      const huge = digestFrom('a'.repeat(64), 2 ** 45) ?? blob(0);
      const rows = [
        { digest: huge, place: { kind: 'recipe' as const, frame: frameOf(a), offset: 2 ** 31, length: 77 } },
        {
          digest: blob(1),
          place: {
            kind: 'bytes' as const,
            frame: { pack: a, offset: 2 ** 33 + 5, storedBytes: 1, rawBytes: 2 ** 32, encoding: 'raw' as const },
            offset: 0,
            length: sizeOf(blob(1)),
          },
        },
      ];
      await at.index.addPack(newPack(a, [], { rows }), undefined, signal);
      const found = await at.index.locate('apple', ['main'], [huge, blob(1)], undefined, signal);
      expect([...found.values()]).toEqual(rows.map(({ place }) => place));
    });

    test('are not found under a digest of the same hash and another size', async () => {
      await using at = await used(subject);
      const recipe = { kind: 'recipe' as const, frame: frameOf(a), offset: 0, length: 64 };
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      await at.index.addPack(newPack(b, [], { rows: [{ digest: blob(2), place: { ...recipe, frame: frameOf(b) } }] }), undefined, signal);
      const others = [blob(1), blob(2)].map((digest) => digestFrom(hashOf(digest), 64) ?? digest);
      expect(await at.index.locate('apple', ['main'], others, undefined, signal)).toEqual(new Map());
    });

    test('are there for readers of their scope alone, and the nearest scope gives them', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      await at.index.addPack(newPack(b, [blob(1), blob(2)], { owner: BRANCH }), undefined, signal);
      const packsOf = async (project: string, scopes: readonly string[]) => {
        const found = await at.index.locate(project, scopes, [blob(1), blob(2)], undefined, signal);
        return [...found.values()].map(({ frame }) => frame.pack);
      };
      expect(await packsOf('apple', ['main/pr-7', 'main'])).toEqual([b, b]);
      expect(await packsOf('apple', ['main'])).toEqual([a]);
      expect(await packsOf('apple', ['main/pr-8', 'main'])).toEqual([a]);
      expect(await packsOf('pear', ['main/pr-7', 'main'])).toEqual([]);
      expect(await packsOf('apple', [])).toEqual([]);
    });

    test('stay where they are when they are added again, until that pack is gone', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      await at.index.addPack(newPack(b, [blob(1), blob(2)]), undefined, signal);
      const packOf = async () => (await at.index.locate('apple', ['main'], [blob(1)], undefined, signal)).get(blob(1))?.frame.pack;
      expect(await packOf()).toBe(a);
      at.clock.pass(10_000);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(true);
      expect(await packOf()).toBeUndefined();
      await at.index.addPack(newPack(b, [blob(1)]), undefined, signal);
      expect(await packOf()).toBe(b);
    });

    test('that turned out damaged are forgotten of that pack alone, and can be stored again', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1), blob(2)]), undefined, signal);
      await at.index.forget(MAIN, [{ digest: blob(1), pack: b }], signal);
      expect((await at.index.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(1);
      await at.index.forget(BRANCH, [{ digest: blob(1), pack: a }], signal);
      await at.index.forget(MAIN, [{ digest: blob(1), pack: a }], signal);
      expect([...(await at.index.locate('apple', ['main'], [blob(1), blob(2)], undefined, signal)).keys()]).toEqual([blob(2)]);
      await at.index.addPack(newPack(b, [blob(1)]), undefined, signal);
      expect((await at.index.locate('apple', ['main'], [blob(1)], undefined, signal)).get(blob(1))?.frame.pack).toBe(b);
    });

    test('by thousands are added, found and forgotten in one call each', async () => {
      await using at = await used(subject);
      const digests: readonly Digest[] = Array.from({ length: 5_000 }, (_, n) => blob(n));
      await at.index.addPack(newPack(a, digests), undefined, signal);
      const found = await at.index.locate('apple', ['main/pr-7', 'main'], digests, undefined, signal);
      expect(found.size).toBe(5_000);
      expect(found.get(blob(4_321))).toEqual(placeIn(a, blob(4_321), 4_321));
      const rows = digests.slice(0, 4_000).map((digest) => ({ digest, pack: a }));
      await at.index.forget(MAIN, rows, signal);
      expect((await at.index.locate('apple', ['main'], digests, undefined, signal)).size).toBe(1_000);
    });
  });

  describe('packs', () => {
    test('are listed by name with what is known of them', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(b, [blob(2)], { owner: BRANCH, producer: 'build-2', sizeBytes: 2 ** 33 }), undefined, signal);
      at.clock.pass(5);
      await at.index.addPack(newPack(a, [blob(1)]), holdOf('h', at.epoch), signal);
      const now = at.clock.now();
      const common = { state: 'live', refCount: 0, condemnedAt: undefined };
      const rowA = { ...common, name: a, owner: MAIN, sizeBytes: 1_000, producer: 'build-1', createdAt: now, usedAt: now };
      const rowB = { ...common, name: b, owner: BRANCH, sizeBytes: 2 ** 33, producer: 'build-2', createdAt: now - 5, usedAt: now - 5 };
      const [first, second] = [
        { ...rowA, heldUntil: now + 60_000 },
        { ...rowB, heldUntil: 0 },
      ];
      const list = (filter: Parameters<typeof at.index.packs>[0], after?: typeof a, limit = 10) =>
        at.index.packs(filter, after, limit, signal);
      expect(await list({})).toEqual([first, second]);
      expect(await list({}, undefined, 1)).toEqual([first]);
      expect(await list({}, a)).toEqual([second]);
      expect(await list({ owner: BRANCH })).toEqual([second]);
      expect(await list({ producer: 'build-1', state: 'live' })).toEqual([first]);
      expect(await list({ state: 'condemned' })).toEqual([]);
    });

    test('are the same when they are added again, and refused to another owner', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      const before = await at.index.packs({}, undefined, 10, signal);
      at.clock.pass(1_000);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      expect(await at.index.packs({}, undefined, 10, signal)).toEqual(before);
      await expect(at.index.addPack(newPack(a, [blob(1)], { owner: BRANCH }), undefined, signal)).rejects.toMatchObject({
        code: 'BAD_REQUEST',
      });
      expect(await at.index.usage(signal)).toEqual([{ owner: MAIN, packBytes: 1_000, packCount: 1, entryCount: 0 }]);
    });

    test('that were begun too long ago cannot be added', async () => {
      await using at = await used(subject);
      at.clock.pass(ADD_WITHIN_MS);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      at.clock.pass(1);
      await expect(at.index.addPack(newPack(b, [blob(2)]), undefined, signal)).rejects.toMatchObject({ code: 'PACK_GONE' });
    });

    test('count as used when their blobs are looked for, to the minute', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), undefined, signal);
      const start = at.clock.now();
      const usedAt = async () => (await at.index.packs({}, undefined, 1, signal))[0]?.usedAt;
      at.clock.pass(USE_GRAIN_MS - 1);
      await at.index.locate('apple', ['main'], [blob(1)], undefined, signal);
      expect(await usedAt()).toBe(start);
      at.clock.pass(1);
      await at.index.locate('apple', ['main'], [blob(2)], undefined, signal);
      expect(await usedAt()).toBe(start);
      await at.index.locate('apple', ['main'], [blob(1)], undefined, signal);
      expect(await usedAt()).toBe(start + USE_GRAIN_MS);
      at.clock.pass(-3_600_000);
      await at.index.locate('apple', ['main'], [blob(1)], undefined, signal);
      expect(await usedAt()).toBe(start + USE_GRAIN_MS);
    });
  });

  holdCases(subject);
}

function holdCases(subject: StoreIndexSubject): void {
  describe('holds', () => {
    test('keep the packs of all their calls until the newest time is over', async () => {
      await using at = await used(subject);
      const hold = holdOf('h', at.epoch);
      await at.index.addPack(newPack(a, [blob(1)]), hold, signal);
      await at.index.addPack(newPack(b, [blob(2)]), undefined, signal);
      at.clock.pass(30_000);
      await at.index.locate('apple', ['main'], [blob(2)], hold, signal);
      at.clock.pass(59_999);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(false);
      expect(await at.index.condemn(b, at.epoch, at.clock.now(), signal)).toBe(false);
      at.clock.pass(1);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(true);
      expect(await at.index.condemn(b, at.epoch, at.clock.now(), signal)).toBe(true);
    });

    test('are made longer, never shorter, and only while they last', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), holdOf('h', at.epoch), signal);
      at.clock.pass(50_000);
      await at.index.extend(holdOf('h', at.epoch), signal);
      await at.index.extend(holdOf('h', at.epoch, 1_000), signal);
      at.clock.pass(59_999);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(false);
      at.clock.pass(1);
      await expect(at.index.extend(holdOf('h', at.epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
      await expect(at.index.extend(holdOf('never', at.epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
    });

    test('that are ended cannot be used any more, but keep their promise', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), holdOf('h', at.epoch), signal);
      await at.index.release({ id: 'h' }, signal);
      await at.index.release({ id: 'never' }, signal);
      await expect(at.index.extend(holdOf('h', at.epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
      const entry = newEntry(keyOf('k'), [a]);
      await expect(at.index.prepare(entry, holdOf('h', at.epoch), signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
      at.clock.pass(59_999);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(false);
      at.clock.pass(1);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(true);
    });

    test('begin anew under the same name without the packs of before', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), holdOf('h', at.epoch), signal);
      await at.index.addPack(newPack(b, [blob(2)]), undefined, signal);
      at.clock.pass(60_000);
      await at.index.locate('apple', ['main'], [blob(2)], holdOf('h', at.epoch), signal);
      await at.index.extend(holdOf('h', at.epoch, 90_000), signal);
      const heldUntil = (await at.index.packs({}, undefined, 2, signal)).map((row) => row.heldUntil - at.clock.now());
      expect(heldUntil).toEqual([0, 90_000]);
    });

    test('of another epoch are void', async () => {
      await using at = await used(subject);
      const other = holdOf('h', 'f'.repeat(32));
      const lost = { code: 'HOLD_LOST' };
      await expect(at.index.addPack(newPack(a, [blob(1)]), other, signal)).rejects.toMatchObject(lost);
      await expect(at.index.locate('apple', ['main'], [blob(1)], other, signal)).rejects.toMatchObject(lost);
      await expect(at.index.extend(other, signal)).rejects.toMatchObject(lost);
      await expect(at.index.prepare(newEntry(keyOf('k'), []), other, signal)).rejects.toMatchObject(lost);
      expect(await at.index.packs({}, undefined, 10, signal)).toEqual([]);
    });
  });
}
