import { describe, expect, test } from 'vitest';
import { blob, keyOf, newEntry, newPack, packName, holdOf } from '../../fixtures/store-index.ts';
import type { StoreIndexSubject, Used } from '../store-index.ts';
import { signal, used } from './used.ts';

const [a, b] = [packName(1), packName(2)];
const HOUR = 3_600_000;

async function stocked(subject: StoreIndexSubject) {
  const at = await used(subject);
  await at.index.addPack(newPack(a, [blob(1), blob(2)]), undefined, signal);
  return at;
}

const stateOf = async ({ index }: Used) => (await index.packs({}, undefined, 10, signal)).map(({ state }) => state);

export function collectionCases(subject: StoreIndexSubject): void {
  describe('collecting garbage', () => {
    test('a pack is condemned only if it was neither made nor used since the time', async () => {
      await using at = await stocked(subject);
      const start = at.clock.now();
      at.clock.pass(HOUR);
      expect(await at.index.condemn(a, at.epoch, start, signal)).toBe(false);
      await at.index.locate('apple', ['main'], [blob(1)], undefined, signal);
      expect(await at.index.condemn(a, at.epoch, start + HOUR, signal)).toBe(false);
      expect(await at.index.condemn(a, at.epoch, start + HOUR + 1, signal)).toBe(true);
      expect(await at.index.condemn(a, at.epoch, start, signal)).toBe(true);
    });

    test('a condemned pack cannot be found, held, referenced or added', async () => {
      await using at = await stocked(subject);
      at.clock.pass(HOUR);
      await at.index.condemn(a, at.epoch, at.clock.now(), signal);
      const hold = holdOf('h', at.epoch);
      expect(await at.index.locate('apple', ['main'], [blob(1), blob(2)], hold, signal)).toEqual(new Map());
      expect(await at.index.prepare(newEntry(keyOf('k'), [a]), hold, signal)).toEqual({ kind: 'packs-gone', packs: [a] });
      await expect(at.index.addPack(newPack(a, [blob(1)]), undefined, signal)).rejects.toMatchObject({ code: 'PACK_GONE' });
      const [row] = await at.index.packs({}, undefined, 1, signal);
      expect(row).toMatchObject({ state: 'condemned', refCount: 0, condemnedAt: undefined });
    });

    test('a name that nobody added becomes condemned, so that nobody can add it', async () => {
      await using at = await used(subject);
      expect(await at.index.condemn(a, at.epoch, 0, signal)).toBe(true);
      await expect(at.index.addPack(newPack(a, [blob(1)]), undefined, signal)).rejects.toMatchObject({ code: 'PACK_GONE' });
      const now = at.clock.now();
      expect(await at.index.packs({ state: 'condemned' }, undefined, 10, signal)).toEqual([
        {
          name: a,
          owner: { project: '', scope: '' },
          sizeBytes: 0,
          producer: '',
          state: 'condemned',
          refCount: 0,
          createdAt: now,
          usedAt: now,
          heldUntil: 0,
          condemnedAt: undefined,
        },
      ]);
      expect(await at.index.usage(signal)).toEqual([]);
    });

    test('the grace time begins when the record is said to be durable, once', async () => {
      await using at = await stocked(subject);
      await expect(at.index.condemnRecorded(a, at.epoch, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await expect(at.index.condemnRecorded(b, at.epoch, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      at.clock.pass(HOUR);
      await at.index.condemn(a, at.epoch, at.clock.now(), signal);
      at.clock.pass(10 * HOUR);
      expect(await at.index.mayDelete(a, at.epoch, 1_000, signal)).toBe(false);
      await at.index.condemnRecorded(a, at.epoch, signal);
      at.clock.pass(999);
      await at.index.condemnRecorded(a, at.epoch, signal);
      expect(await at.index.mayDelete(a, at.epoch, 1_000, signal)).toBe(false);
      at.clock.pass(1);
      expect(await at.index.mayDelete(a, at.epoch, 1_000, signal)).toBe(true);
      expect(await at.index.mayDelete(b, at.epoch, 1_000, signal)).toBe(false);
      expect(await at.index.mayDelete(a, 'f'.repeat(32), 1_000, signal)).toBe(false);
    });

    test('a deleted pack never comes back, until its name is forgotten', async () => {
      await using at = await stocked(subject);
      await expect(at.index.deleted(a, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await expect(at.index.deleted(b, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      at.clock.pass(HOUR);
      await at.index.condemn(a, at.epoch, at.clock.now(), signal);
      await at.index.condemnRecorded(a, at.epoch, signal);
      expect(await at.index.dropPack(a, signal)).toBe(false);
      await at.index.deleted(a, signal);
      await at.index.deleted(a, signal);
      expect(await stateOf(at)).toEqual(['deleted']);
      expect(await at.index.mayDelete(a, at.epoch, 0, signal)).toBe(false);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(false);
      await expect(at.index.condemnRecorded(a, at.epoch, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await expect(at.index.addPack(newPack(a, [blob(1)]), undefined, signal)).rejects.toMatchObject({ code: 'PACK_GONE' });
      expect(await at.index.dropPack(a, signal)).toBe(true);
      expect(await at.index.dropPack(a, signal)).toBe(false);
      expect(await stateOf(at)).toEqual([]);
    });

    test('what is left of gone packs is swept in bounded pieces, and nothing else', async () => {
      await using at = await stocked(subject);
      const digests = Array.from({ length: 3_000 }, (_, n) => blob(100 + n));
      await at.index.addPack(newPack(b, digests), undefined, signal);
      at.clock.pass(HOUR);
      await at.index.condemn(b, at.epoch, at.clock.now(), signal);
      let calls = 0;
      while (await at.index.sweep(signal)) expect((calls += 1)).toBeLessThan(1_000);
      expect((await at.index.locate('apple', ['main'], [blob(1), blob(2), blob(101)], undefined, signal)).size).toBe(2);
      await at.index.addPack(newPack(packName(3), digests), undefined, signal);
      expect((await at.index.locate('apple', ['main'], digests, undefined, signal)).size).toBe(3_000);
    });

    test('of several that claim a task one has it, until its time is over', async () => {
      await using at = await used(subject);
      const claim = (holder: string) => at.index.claim('mark', holder, 1_000, signal);
      expect(await claim('x')).toBe(true);
      expect(await claim('y')).toBe(false);
      at.clock.pass(600);
      expect(await claim('x')).toBe(true);
      at.clock.pass(999);
      expect(await claim('y')).toBe(false);
      at.clock.pass(1);
      expect(await claim('y')).toBe(true);
      await at.index.claim('mark', 'x', 0, signal);
      expect(await claim('x'), 'given back by one who does not have it').toBe(false);
      await at.index.claim('mark', 'y', 0, signal);
      expect(await claim('x'), 'given back').toBe(true);
      expect(await at.index.claim('other', 'x', 1_000, signal)).toBe(true);
    });
  });
}
