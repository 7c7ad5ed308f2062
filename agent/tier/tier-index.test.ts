import { describe, expect, test } from 'vitest';
import { TierIndex } from './tier-index.ts';

describe('the index of the local tier', () => {
  test('evicts what was used longest ago, and no more than it must', () => {
    const index = new TierIndex();
    for (const key of ['a', 'b', 'c', 'd']) index.add(key, 10);
    index.use('a');
    expect(index.evictTo(25)).toEqual(['b', 'c']);
    expect([index.has('a'), index.has('b'), index.has('d'), index.totalBytes]).toEqual([true, false, true, 20]);
    expect(index.evictTo(25)).toEqual([]);
  });

  test('keeps what is pinned, as long as it is', () => {
    const index = new TierIndex();
    index.add('tree', 100);
    index.add('blob', 10);
    const first = index.pin('tree');
    const second = index.pin('tree');
    expect(index.evictTo(0)).toEqual(['blob']);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(index.evictTo(0)).toEqual([]);
    second[Symbol.dispose]();
    expect(index.evictTo(0)).toEqual(['tree']);
    expect(index.totalBytes).toBe(0);
  });

  test('counts a thing once, however often it is added', () => {
    const index = new TierIndex();
    index.add('a', 10);
    index.add('a', 10);
    expect(index.totalBytes).toBe(10);
    index.remove('a');
    index.remove('a');
    expect(index.totalBytes).toBe(0);
    expect(index.use('a')).toBe(false);
  });
});
