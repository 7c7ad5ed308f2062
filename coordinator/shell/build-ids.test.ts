import { expect, test } from 'vitest';
import { newBuildId } from './build-ids.ts';

test('ids of later times sort after those of earlier ones, and no two are equal', () => {
  const ids = [1, 31, 32, 1_700_000_000_000, 1_700_000_000_001, 2 ** 45].map((now) => newBuildId(now));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(Array.from({ length: 100 }, () => newBuildId(5))).size).toBe(100);
});
