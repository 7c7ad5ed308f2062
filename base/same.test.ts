import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sameValue } from './same.ts';

test.for<[unknown, unknown, boolean]>([
  [{ a: 1, b: [2, { c: 'x' }] }, { b: [2, { c: 'x' }], a: 1 }, true],
  [{ a: 1, b: undefined }, { a: 1 }, true],
  [{ a: 1 }, { a: 1, b: undefined }, true],
  [{ a: 1 }, { a: 1, b: null }, false],
  [{ a: 1 }, { a: 2 }, false],
  [[1, 2], [2, 1], false],
  [[1, 2], [1, 2, 3], false],
  [[], {}, false],
  [null, {}, false],
  [undefined, null, false],
  ['1', 1, false],
])('%j and %j: %s', ([left, right, same]) => {
  expect(sameValue(left, right)).toBe(same);
});

test('what was written as JSON and read is the same as before, and differs from what was changed', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, other) => {
      const read: unknown = JSON.parse(JSON.stringify(value));
      expect(sameValue(value, read)).toBe(true);
      expect(sameValue({ value }, { value: [value] })).toBe(false);
      if (JSON.stringify(value) === JSON.stringify(other)) expect(sameValue(value, other)).toBe(true);
    }),
  );
});
