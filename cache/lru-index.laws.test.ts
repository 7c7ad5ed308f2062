import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LruIndex } from './lru-index.ts';
import { groupsOf, partitionOf } from './owner.ts';

const LIMIT = 1_000;

/** A store of LIMIT bytes as LruDir runs it; remembers who lost what. */
function bounded() {
  const index = new LruIndex(groupsOf);
  const lost = new Map<string, number>();
  let count = 0;
  return {
    index,
    lost,
    write(partition: string, bytes: number): void {
      using _ = index.reserve(partition, bytes, true);
      while (index.totalBytes > LIMIT) {
        const oldest = index.oldest(LIMIT);
        if (oldest === undefined) return; // no room: the write is refused
        index.remove(oldest.partition, oldest.name);
        lost.set(oldest.partition, (lost.get(oldest.partition) ?? 0) + 1);
      }
      count += 1;
      index.use(partition, `${count}`, bytes, count, true);
    },
  };
}

const part = (scope: string, project = 'web') => partitionOf({ project, scope });

const scopes = fc.constantFrom('main', 'release', 'main/pr-1', 'main/pr-2', 'main/pr-2/job', 'dev', 'dev/a', 'dev/a/b');
const writes = fc.array(fc.record({ scope: scopes, project: fc.constantFrom('web', 'api'), bytes: fc.integer({ min: 0, max: 400 }) }), {
  maxLength: 120,
});

describe('a bounded store of many owners', () => {
  test('takes nothing from an owner that keeps to its share, whatever the others write', () => {
    // web and api share the whole; main, dev and release share web's half; what is below main can have half of main's.
    const shares = { [part('main')]: LIMIT / 2 / 3 / 2, [part('release')]: LIMIT / 2 / 3, [part('main', 'api')]: LIMIT / 2 / 3 / 2 };
    fc.assert(
      fc.property(writes, (history) => {
        const store = bounded();
        const written = new Map<string, number>();
        for (const { project, scope, bytes } of history) {
          const partition = part(scope, project);
          const share = shares[partition];
          const sum = (written.get(partition) ?? 0) + bytes;
          if (share !== undefined && sum > share) continue; // it keeps to its share
          written.set(partition, sum);
          store.write(partition, bytes);
        }
        for (const partition of Object.keys(shares)) expect(store.lost.get(partition) ?? 0).toBe(0);
        expect(store.index.totalBytes).toBeLessThanOrEqual(LIMIT);
      }),
      { numRuns: 300 },
    );
  });

  test('counts what it holds, and nothing once all of it has gone', () => {
    fc.assert(
      fc.property(writes, (history) => {
        const store = bounded();
        for (const { project, scope, bytes } of history) store.write(part(scope, project), bytes);
        const sum = store.index.partitions().reduce((total, partition) => total + store.index.usageOf(partition).bytes, 0);
        expect(sum).toBe(store.index.totalBytes);
        const open = [store.index.reserve(part('main'), 10, true), store.index.reserve(part('main/pr-1'), 20, false)];
        expect(store.index.totalBytes).toBe(sum + 30);
        for (const one of open) one[Symbol.dispose]();
        for (let oldest = store.index.oldest(LIMIT); oldest !== undefined; oldest = store.index.oldest(LIMIT)) {
          store.index.remove(oldest.partition, oldest.name);
        }
        for (const partition of store.index.partitions()) {
          for (let oldest = store.index.oldestIn(partition); oldest !== undefined; oldest = store.index.oldestIn(partition)) {
            store.index.remove(partition, oldest.name);
          }
        }
        expect([store.index.totalBytes, store.index.partitions()]).toEqual([0, []]);
      }),
    );
  });

  test('takes nothing from a base scope for a thousand small scopes below it', () => {
    const store = bounded();
    for (let index = 0; index < 10; index += 1) store.write(part('main'), 40);
    for (let index = 0; index < 1_000; index += 1) store.write(part(`main/pr-${index}`), 10);
    expect(store.lost.get(part('main'))).toBeUndefined();
    expect(store.index.usageOf(part('main')).bytes).toBe(400);
  });

  test('takes from a base scope what it has beyond the half, before the scopes below it lose anything', () => {
    const store = bounded();
    for (let index = 0; index < 20; index += 1) store.write(part('main'), 45);
    store.write(part('main/pr-1'), 200);
    expect(store.lost).toEqual(new Map([[part('main'), 3]]));
  });

  test('lets one who comes new have its share, whatever the others fill, and no more', () => {
    for (const [bytes, isLet] of [
      [100, true],
      [200, true],
      [250, true],
      [251, false],
      [900, false],
    ] as const) {
      const store = bounded();
      for (const scope of ['a', 'b', 'c']) for (let count = 0; count < 33; count += 1) store.write(part(scope), 10);
      store.write(part('new'), bytes);
      expect([bytes, store.index.usageOf(part('new')).bytes]).toEqual([bytes, isLet ? bytes : 0]);
      // What the others have within their shares of a quarter stays.
      for (const scope of ['a', 'b', 'c']) expect(store.index.usageOf(part(scope)).bytes).toBeGreaterThanOrEqual(240);
    }
  });

  test('lets a base scope have the half of what the scopes below it have filled', () => {
    const store = bounded();
    for (let index = 0; index < 100; index += 1) store.write(part(`main/pr-${index}`), 10);
    store.write(part('main'), 500);
    expect(store.index.usageOf(part('main')).bytes).toBe(500);
    store.write(part('main'), 501);
    expect(store.index.usageOf(part('main')).bytes).toBe(0); // its own first: it has more than all below it
  });

  test('finds the least recently used first, within one owner', () => {
    const index = new LruIndex(groupsOf);
    for (const [at, name] of ['a', 'b', 'c'].entries()) index.use(part('main'), name, 10, at, true);
    index.use(part('main'), 'a', 10, 9, true);
    expect(index.oldest(LIMIT)).toEqual({ partition: part('main'), name: 'b', usedMs: 1 });
    expect(index.oldestIn(part('dev'))).toBeUndefined();
  });
});
