import { describe, expect, test } from 'vitest';
import { blob, handClock, holdOf, keyOf, newEntry, newPack, packName } from '../../fixtures/store-index.ts';
import type { StoreIndexSubject } from '../store-index.ts';
import { signal, used } from './used.ts';

const [a, b, c] = [packName(1), packName(2), packName(3)];
const OTHER = 'f'.repeat(32);

export function epochCases(subject: StoreIndexSubject): void {
  describe('an index of a new epoch', () => {
    test('is closed to all but its rebuild, and opens in steps', async () => {
      const clock = handClock();
      await using index = await subject.open(clock);
      const { epoch, ...phase } = await index.epoch(signal);
      expect(epoch).toMatch(/^[0-9a-f]{32}$/);
      expect(phase).toEqual({ open: false, complete: false });
      expect(await index.now(signal)).toBe(clock.now());
      const closed = { code: 'STORE_UNAVAILABLE' };
      const hold = holdOf('h', epoch);
      await expect(index.locate('apple', ['main'], [blob(1)], undefined, signal)).rejects.toMatchObject(closed);
      await expect(index.addPack(newPack(a, []), hold, signal)).rejects.toMatchObject(closed);
      await expect(index.prepare(newEntry(keyOf('k'), []), hold, signal)).rejects.toMatchObject(closed);
      await expect(index.entry('action', 'apple', ['main'], 'k', signal)).rejects.toMatchObject(closed);
      await expect(index.condemn(a, epoch, 0, signal)).rejects.toMatchObject(closed);
      await expect(index.mayDelete(a, epoch, 0, signal)).rejects.toMatchObject(closed);
      await expect(index.extend(hold, signal)).rejects.toMatchObject(closed);
      await index.addPack(newPack(a, [blob(1)]), undefined, signal);
      const entry = newEntry(keyOf('k'), [a]);
      expect(await index.restoreEntry(entry, epoch, signal)).toBe(true);
      expect(await index.entries({}, undefined, 10, signal)).toHaveLength(1);
      expect((await index.knownObjects([entry.object], signal)).size).toBe(1);
      expect(await index.dropEntry({ ...entry.at, object: entry.object }, signal)).toBe(true);
      expect(await index.claim('rebuild', 'x', 1_000, signal)).toBe(true);
      await expect(index.complete(epoch, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await index.open(epoch, signal);
      await index.open(epoch, signal);
      expect(await index.epoch(signal)).toEqual({ epoch, open: true, complete: false });
      expect((await index.locate('apple', ['main'], [blob(1)], undefined, signal)).size).toBe(1);
      await expect(index.condemn(a, epoch, clock.now(), signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await index.complete(epoch, signal);
      expect(await index.epoch(signal)).toEqual({ epoch, open: true, complete: true });
    });

    test('is not to be had under the name of another', async () => {
      await using index = await subject.open(handClock());
      const wrong = { code: 'WRONG_STATE' };
      await expect(index.open(OTHER, signal)).rejects.toMatchObject(wrong);
      await expect(index.complete(OTHER, signal)).rejects.toMatchObject(wrong);
      await expect(index.replayCondemned([a], OTHER, signal)).rejects.toMatchObject(wrong);
      await expect(index.condemn(a, OTHER, 0, signal)).rejects.toMatchObject(wrong);
      await expect(index.condemnRecorded(a, OTHER, signal)).rejects.toMatchObject(wrong);
      await expect(index.restoreEntry(newEntry(keyOf('k'), []), OTHER, signal)).rejects.toMatchObject(wrong);
      expect(await index.packs({}, undefined, 10, signal)).toEqual([]);
      expect(await index.entries({}, undefined, 10, signal)).toEqual([]);
    });

    test('condemns what the store says was condemned, known or not, with the entries that need it', async () => {
      const clock = handClock();
      await using index = await subject.open(clock);
      const { epoch } = await index.epoch(signal);
      for (const [n, pack] of [a, b].entries()) await index.addPack(newPack(pack, [blob(n)]), undefined, signal);
      expect(await index.restoreEntry(newEntry(keyOf('on-a'), [a]), epoch, signal)).toBe(true);
      expect(await index.restoreEntry(newEntry(keyOf('on-b'), [b]), epoch, signal)).toBe(true);
      expect(await index.restoreEntry(newEntry(keyOf('on-both'), [a, b]), epoch, signal)).toBe(true);
      clock.pass(500);
      await index.replayCondemned([a, c], epoch, signal);
      await index.replayCondemned([a], epoch, signal);
      await index.open(epoch, signal);
      const rows = await index.packs({}, undefined, 10, signal);
      expect(rows.map(({ state, refCount, condemnedAt }) => [state, refCount, condemnedAt])).toEqual([
        ['condemned', 0, clock.now()],
        ['live', 1, undefined],
        ['condemned', 0, clock.now()],
      ]);
      expect((await index.entries({}, undefined, 10, signal)).map((row) => row.at.key)).toEqual(['on-b']);
      expect([
        ...(await index.knownObjects(
          ['on-a', 'on-b', 'on-both'].map((key) => newEntry(keyOf(key), []).object),
          signal,
        )),
      ]).toHaveLength(1);
      expect((await index.locate('apple', ['main'], [blob(0), blob(1)], undefined, signal)).size).toBe(1);
      clock.pass(1_000);
      expect(await index.mayDelete(c, epoch, 1_000, signal)).toBe(true);
    });

    test('takes no condemn records any more once it is open', async () => {
      await using at = await used(subject);
      await expect(at.index.replayCondemned([a], at.epoch, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
    });

    test('takes entries up only where all their packs are live and the name is free', async () => {
      const clock = handClock();
      await using index = await subject.open(clock);
      const { epoch } = await index.epoch(signal);
      await index.addPack(newPack(a, [blob(1)]), undefined, signal);
      expect(await index.restoreEntry(newEntry(keyOf('k'), [a, b], 1), epoch, signal)).toBe(false);
      expect(await index.restoreEntry(newEntry(keyOf('k'), [a], 2), epoch, signal)).toBe(true);
      expect(await index.restoreEntry(newEntry(keyOf('k'), [a], 2), epoch, signal)).toBe(true);
      expect(await index.restoreEntry(newEntry(keyOf('k'), [], 3), epoch, signal)).toBe(false);
      expect(await index.restoreEntry(newEntry(keyOf('l'), [a], 1), epoch, signal)).toBe(true);
      expect(await index.restoreEntry(newEntry(keyOf('l'), [a], 2, { replace: true }), epoch, signal)).toBe(true);
      await index.open(epoch, signal);
      const rows = await index.entries({}, undefined, 10, signal);
      expect(rows.map(({ object, state, createdAt }) => [object.at(-1), state, createdAt])).toEqual([
        ['2', 'published', clock.now()],
        ['2', 'published', clock.now()],
      ]);
      expect((await index.packs({}, undefined, 10, signal))[0]?.refCount).toBe(2);
    });

    test('finishes what was pending when its object turns up', async () => {
      await using at = await used(subject);
      await at.index.addPack(newPack(a, [blob(1)]), holdOf('h', at.epoch), signal);
      const entry = newEntry(keyOf('k'), [a]);
      await at.index.prepare(entry, holdOf('h', at.epoch), signal);
      expect(await at.index.restoreEntry(entry, at.epoch, signal)).toBe(true);
      expect((await at.index.entries({}, undefined, 10, signal)).map(({ state }) => state)).toEqual(['published']);
      expect((await at.index.packs({}, undefined, 10, signal))[0]?.refCount).toBe(1);
      expect(await at.index.publish({ ...entry.at, object: entry.object }, signal)).toBeUndefined();
    });
  });

  test('an index that is closed for good says so', async () => {
    const at = await used(subject);
    await at[Symbol.asyncDispose]();
    await expect(at.index.epoch(signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('a call that was given up before it began does nothing', async () => {
    await using at = await used(subject);
    const given = AbortSignal.abort();
    await expect(at.index.addPack(newPack(a, []), undefined, given)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await at.index.packs({}, undefined, 10, signal)).toEqual([]);
  });
}
