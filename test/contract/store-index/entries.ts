import { describe, expect, test } from 'vitest';
import { ENTRY_KINDS } from '../../../cache/entries/check.ts';
import { ENTRY_PACKS_MAX, USE_GRAIN_MS } from '../../../cache/store-index/store-index.ts';
import { blob, BRANCH, holdOf, keyOf, MAIN, newEntry, newPack, packName } from '../../fixtures/store-index.ts';
import type { NewEntry } from '../../../cache/store-index/store-index.ts';
import type { StoreIndexSubject, Used } from '../store-index.ts';
import { signal, used } from './used.ts';

const [a, b, c] = [packName(1), packName(2), packName(3)];

/** An index with the packs a and b, and a hold. */
async function stocked(subject: StoreIndexSubject) {
  const at = await used(subject);
  const hold = holdOf('h', at.epoch, 3_600_000);
  await at.index.addPack(newPack(a, [blob(1)]), hold, signal);
  await at.index.addPack(newPack(b, [blob(2)]), hold, signal);
  return { ...at, hold };
}

type Stocked = Awaited<ReturnType<typeof stocked>>;

async function put(at: Stocked, entry: NewEntry) {
  expect(await at.index.prepare(entry, at.hold, signal)).toEqual({ kind: 'prepared' });
  return await at.index.publish({ ...entry.at, object: entry.object }, signal);
}

const refs = async ({ index }: Used) => (await index.packs({}, undefined, 10, signal)).map(({ refCount }) => refCount);
const read = (at: Used, key: string, scopes = ['main']) => at.index.entry('action', 'apple', scopes, key, signal);

export function entryCases(subject: StoreIndexSubject): void {
  describe('entries', () => {
    test('are seen once they are published, with everything that they were given', async () => {
      await using at = await stocked(subject);
      const entry = newEntry(keyOf('k'), [a, b], 1, { record: Buffer.from([0, 255, 10, 0]), bytes: 2 ** 40 });
      expect(await at.index.prepare(entry, at.hold, signal)).toEqual({ kind: 'prepared' });
      expect(await at.index.prepare(entry, at.hold, signal)).toEqual({ kind: 'prepared' });
      expect(await read(at, 'k')).toBeUndefined();
      expect(await refs(at)).toEqual([1, 1]);
      const now = at.clock.now();
      at.clock.pass(7);
      expect(await at.index.publish({ ...entry.at, object: entry.object }, signal)).toBeUndefined();
      expect(await at.index.publish({ ...entry.at, object: entry.object }, signal)).toBeUndefined();
      const row = await read(at, 'k');
      expect(row).toEqual({ ...entry, record: row?.record, state: 'published', createdAt: now, usedAt: now });
      expect(Buffer.from(row?.record ?? [])).toEqual(entry.record);
      expect(await refs(at)).toEqual([1, 1]);
    });

    test('keep their packs from being condemned until they are dropped', async () => {
      await using at = await stocked(subject);
      const entry = newEntry(keyOf('k'), [a]);
      await put(at, entry);
      at.clock.pass(10 * 3_600_000);
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(false);
      expect(await at.index.dropEntry({ ...entry.at, object: `${entry.object}0` }, signal)).toBe(false);
      expect(await at.index.dropEntry({ ...entry.at, object: entry.object }, signal)).toBe(true);
      expect(await at.index.dropEntry({ ...entry.at, object: entry.object }, signal)).toBe(false);
      expect(await read(at, 'k')).toBeUndefined();
      expect(await at.index.condemn(a, at.epoch, at.clock.now(), signal)).toBe(true);
    });

    test('that need a pack that is not live are refused, and leave no references', async () => {
      await using at = await stocked(subject);
      at.clock.pass(4 * 3_600_000);
      expect(await at.index.condemn(b, at.epoch, at.clock.now(), signal)).toBe(true);
      const hold = holdOf('other', at.epoch);
      await at.index.locate('apple', ['main'], [], hold, signal);
      const prepared = await at.index.prepare(newEntry(keyOf('k'), [a, b, c]), hold, signal);
      expect(prepared).toEqual({ kind: 'packs-gone', packs: [b, c] });
      expect(await refs(at)).toEqual([0, 0]);
      expect(await at.index.entries({}, undefined, 10, signal)).toEqual([]);
    });

    test('of a hold that is over are refused', async () => {
      await using at = await stocked(subject);
      at.clock.pass(3_600_000);
      await expect(at.index.prepare(newEntry(keyOf('k'), [a]), at.hold, signal)).rejects.toMatchObject({ code: 'HOLD_LOST' });
      expect(await refs(at)).toEqual([0, 0]);
    });

    test('that need too many packs are refused', async () => {
      await using at = await stocked(subject);
      const packs = Array.from({ length: ENTRY_PACKS_MAX + 1 }, (_, n) => packName(n));
      await expect(at.index.prepare(newEntry(keyOf('k'), packs), at.hold, signal)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    });
  });

  firstWriteCases(subject);
  lookupCases(subject);
}

function firstWriteCases(subject: StoreIndexSubject): void {
  describe('two entries of one name', () => {
    test('the first one stays, pending or published', async () => {
      await using at = await stocked(subject);
      const [first, second] = [newEntry(keyOf('k'), [a], 1), newEntry(keyOf('k'), [b], 2)];
      await at.index.prepare(first, at.hold, signal);
      const whilePending = await at.index.prepare(second, at.hold, signal);
      expect(whilePending).toMatchObject({ kind: 'exists', entry: { object: first.object, state: 'pending' } });
      await at.index.publish({ ...first.at, object: first.object }, signal);
      const afterwards = await at.index.prepare(second, at.hold, signal);
      expect(afterwards).toMatchObject({ kind: 'exists', entry: { object: first.object, state: 'published' } });
      expect(await refs(at)).toEqual([1, 0]);
    });

    test('a replacing one takes the place once it is published, and its writer is told of the old one', async () => {
      await using at = await stocked(subject);
      const [first, second] = [newEntry(keyOf('k'), [a], 1), newEntry(keyOf('k'), [b], 2, { replace: true })];
      await put(at, first);
      await at.index.prepare(second, at.hold, signal);
      expect(await read(at, 'k')).toMatchObject({ object: first.object });
      expect(await refs(at)).toEqual([1, 1]);
      const replaced = await at.index.publish({ ...second.at, object: second.object }, signal);
      expect(replaced).toMatchObject({ object: first.object });
      expect(await read(at, 'k')).toMatchObject({ object: second.object });
      expect(await refs(at)).toEqual([0, 1]);
    });

    test('a replacing one ends another that is pending', async () => {
      await using at = await stocked(subject);
      const [first, second] = [newEntry(keyOf('k'), [a], 1), newEntry(keyOf('k'), [b], 2, { replace: true })];
      await at.index.prepare(first, at.hold, signal);
      await at.index.prepare(second, at.hold, signal);
      expect(await refs(at)).toEqual([0, 1]);
      await expect(at.index.publish({ ...first.at, object: first.object }, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      await at.index.publish({ ...second.at, object: second.object }, signal);
      expect(await read(at, 'k')).toMatchObject({ object: second.object });
    });

    test('one that was published meanwhile stays where only a pending one is to be dropped', async () => {
      await using at = await stocked(subject);
      const entry = newEntry(keyOf('k'), [a]);
      await put(at, entry);
      expect(await at.index.dropEntry({ ...entry.at, object: entry.object, onlyPending: true }, signal)).toBe(false);
      expect(await read(at, 'k')).toMatchObject({ object: entry.object });
      const next = newEntry(keyOf('l'), [a]);
      await at.index.prepare(next, at.hold, signal);
      expect(await at.index.dropEntry({ ...next.at, object: next.object, onlyPending: true }, signal)).toBe(true);
      expect(await refs(at)).toEqual([1, 0]);
    });

    test('one that was dropped while it was pending cannot be published', async () => {
      await using at = await stocked(subject);
      const entry = newEntry(keyOf('k'), [a]);
      await at.index.prepare(entry, at.hold, signal);
      expect(await at.index.dropEntry({ ...entry.at, object: entry.object }, signal)).toBe(true);
      await expect(at.index.publish({ ...entry.at, object: entry.object }, signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      expect(await refs(at)).toEqual([0, 0]);
    });
  });
}

function lookupCases(subject: StoreIndexSubject): void {
  describe('looking for entries', () => {
    test('the nearest scope gives the entry, of its kind and project alone', async () => {
      await using at = await stocked(subject);
      await put(at, newEntry(keyOf('k'), [a], 1));
      await put(at, newEntry(keyOf('k', { owner: BRANCH }), [a], 2));
      expect((await read(at, 'k', ['main/pr-7', 'main']))?.at.owner).toEqual(BRANCH);
      expect((await read(at, 'k', ['main/pr-8', 'main']))?.at.owner).toEqual(MAIN);
      expect(await at.index.entry('layer', 'apple', ['main'], 'k', signal)).toBeUndefined();
      expect(await at.index.entry('action', 'pear', ['main'], 'k', signal)).toBeUndefined();
    });

    test('each kind has its own entry of a name, in lists too', async () => {
      await using at = await stocked(subject);
      for (const [index, kind] of ENTRY_KINDS.entries()) await put(at, newEntry(keyOf('k', { kind }), [a], index + 1));
      for (const kind of ENTRY_KINDS) expect((await at.index.entry(kind, 'apple', ['main'], 'k', signal))?.at.kind).toBe(kind);
      const listed = await at.index.entries({ project: 'apple' }, undefined, 10, signal);
      expect(listed.map((row) => row.at.kind)).toEqual(ENTRY_KINDS.toSorted());
    });

    test('an entry counts as used when it is found, to the minute', async () => {
      await using at = await stocked(subject);
      await put(at, newEntry(keyOf('k'), [a]));
      const start = at.clock.now();
      at.clock.pass(USE_GRAIN_MS - 1);
      expect((await read(at, 'k'))?.usedAt).toBe(start);
      at.clock.pass(1);
      expect((await read(at, 'k'))?.usedAt).toBe(start + USE_GRAIN_MS);
      expect((await at.index.entries({}, undefined, 1, signal))[0]?.usedAt).toBe(start + USE_GRAIN_MS);
    });

    test('the newest of a prefix is found in the nearest scope that has one', async () => {
      await using at = await stocked(subject);
      const keys = ['npm-a', 'npm-c', 'npm-b', 'np', 'npm%', 'npn-z'];
      for (const key of keys) {
        await put(at, newEntry(keyOf(key, { kind: 'dependency' }), [a]));
        if (key !== 'npm-c') at.clock.pass(1_000);
      }
      await put(at, newEntry(keyOf('npm-z', { kind: 'dependency', owner: BRANCH }), [a]));
      await at.index.prepare(newEntry(keyOf('npm-y', { kind: 'dependency' }), [a]), at.hold, signal);
      const newest = async (scopes: readonly string[], prefix: string) =>
        (await at.index.newestEntry('dependency', 'apple', scopes, prefix, signal))?.at.key;
      expect(await newest(['main'], 'npm-')).toBe('npm-c');
      expect(await newest(['main'], 'npm')).toBe('npm%');
      expect(await newest(['main'], '')).toBe('npn-z');
      expect(await newest(['main/pr-7', 'main'], 'npm-')).toBe('npm-z');
      expect(await newest(['main/pr-7', 'main'], 'np')).toBe('npm-z');
      expect(await newest(['main/pr-7', 'main'], 'npn')).toBe('npn-z');
      expect(await newest(['main'], 'x')).toBeUndefined();
    });

    test('of equally new ones the last key is the newest, whatever characters it has', async () => {
      await using at = await stocked(subject);
      const keys = ['k-\uFFFD', 'k-\u{1F600}', 'k-é', 'k-"quoted"\n\0'];
      for (const key of keys) await put(at, newEntry(keyOf(key, { kind: 'dependency' }), [a]));
      expect((await at.index.newestEntry('dependency', 'apple', ['main'], 'k-', signal))?.at.key).toBe('k-\u{1F600}');
      const listed = (await at.index.entries({}, undefined, 10, signal)).map(({ at: { key } }) => key);
      expect(listed).toEqual(keys.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))));
    });

    test('lists are in order, go on after a name, and can be narrowed', async () => {
      await using at = await stocked(subject);
      const names = [
        keyOf('a', { kind: 'layer', owner: BRANCH }),
        keyOf('b', { kind: 'dependency' }),
        keyOf('c', { owner: { project: 'app', scope: 'main' } }),
        keyOf('b'),
        keyOf('a'),
      ];
      for (const [n, name] of names.entries()) {
        await put(at, newEntry(name, [a], 1, { producer: `build-${n}` }));
        at.clock.pass(100_000);
      }
      await at.index.prepare(newEntry(keyOf('a'), [b], 2, { replace: true, producer: 'build-9' }), at.hold, signal);
      const list = async (filter: Parameters<typeof at.index.entries>[0], after?: ReturnType<typeof keyOf>, limit = 10) =>
        (await at.index.entries(filter, after, limit, signal)).map(
          (row) => `${row.producer.slice(6)}${row.state === 'pending' ? '?' : ''}`,
        );
      expect(await list({})).toEqual(['2', '4', '9?', '3', '1', '0']);
      expect(await list({}, undefined, 2)).toEqual(['2', '4', '9?']);
      expect(await list({}, keyOf('a'))).toEqual(['3', '1', '0']);
      expect(await list({}, keyOf('aa'))).toEqual(['3', '1', '0']);
      expect(await list({ project: 'apple' })).toEqual(['4', '9?', '3', '1', '0']);
      expect(await list({ project: 'apple', scope: 'main/pr-7' })).toEqual(['0']);
      expect(await list({ scope: 'main', kind: 'action' })).toEqual(['2', '4', '9?', '3']);
      expect(await list({ producer: 'build-3' })).toEqual(['3']);
      expect(await list({ state: 'pending' })).toEqual(['9?']);
      expect(await list({ state: 'published', kind: 'action' })).toEqual(['2', '4', '3']);
      expect(await list({ unusedSince: at.clock.now() - 300_000 })).toEqual(['1', '0']);
    });

    test('lists of many go on page by page, also where most do not fit', async () => {
      await using at = await stocked(subject);
      for (let n = 0; n < 300; n += 1) await put(at, newEntry(keyOf(`k${n}`), [a], 1, { producer: n % 100 === 0 ? 'rare' : 'usual' }));
      const rare = await at.index.entries({ producer: 'rare' }, undefined, 10, signal);
      expect(rare.map((row) => row.at.key)).toEqual(['k0', 'k100', 'k200']);
      const seen = new Set<string>();
      let after: ReturnType<typeof keyOf> | undefined;
      for (;;) {
        const page = await at.index.entries({}, after, 70, signal);
        if (page.length === 0) break;
        for (const row of page) seen.add(row.at.key);
        after = page.at(-1)?.at;
      }
      expect(seen.size).toBe(300);
    });

    test('objects are known while an entry of theirs is there', async () => {
      await using at = await stocked(subject);
      const [first, second] = [newEntry(keyOf('k'), [a], 1), newEntry(keyOf('k'), [b], 2, { replace: true })];
      await put(at, first);
      await at.index.prepare(second, at.hold, signal);
      const known = async () => [...(await at.index.knownObjects([first.object, second.object, 'e/none'], signal))].toSorted();
      expect(await known()).toEqual([first.object, second.object]);
      await at.index.publish({ ...second.at, object: second.object }, signal);
      expect(await known()).toEqual([second.object]);
      await at.index.dropEntry({ ...second.at, object: second.object }, signal);
      expect(await known()).toEqual([]);
    });

    test('what owners use is what is live and published', async () => {
      await using at = await stocked(subject);
      await at.index.addPack(newPack(c, [blob(3)], { owner: BRANCH, sizeBytes: 50 }), undefined, signal);
      await put(at, newEntry(keyOf('k'), [a]));
      await at.index.prepare(newEntry(keyOf('l'), [a]), at.hold, signal);
      const main = { owner: MAIN, packBytes: 2_000, packCount: 2, entryCount: 1 };
      expect(await at.index.usage(signal)).toEqual([main, { owner: BRANCH, packBytes: 50, packCount: 1, entryCount: 0 }]);
      at.clock.pass(100_000);
      await at.index.condemn(c, at.epoch, at.clock.now(), signal);
      expect(await at.index.usage(signal)).toEqual([main]);
    });
  });
}
