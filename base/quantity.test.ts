import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareQuantities, formatDurationMs, formatSizeBytes, parseCpuMillis, parseDurationMs, parseSizeBytes } from './quantity.ts';

test.for([
  ['0', 0],
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5h', 5_400_000],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
  ['30', undefined],
  ['', undefined],
  ['s', undefined],
  ['-3s', undefined],
  ['3 s', undefined],
  ['1e3s', undefined],
  ['999999999999999d', undefined],
] as const)('the duration "%s" is %s ms', ([text, expected]) => {
  expect(parseDurationMs(text)).toBe(expected);
});

test.for([
  ['4096', 4_096],
  ['2Gi', 2 ** 31],
  ['1.5Ki', 1_536],
  ['500M', 500_000_000],
  ['1k', 1_000],
  ['1K', undefined],
  ['2GB', undefined],
  ['', undefined],
] as const)('the size "%s" is %s bytes', ([text, expected]) => {
  expect(parseSizeBytes(text)).toBe(expected);
});

test.for([
  ['2', 2_000],
  ['0.5', 500],
  ['500m', 500],
  ['m', undefined],
  ['2c', undefined],
] as const)('"%s" of CPU are %s thousandths', ([text, expected]) => {
  expect(parseCpuMillis(text)).toBe(expected);
});

test('a duration that is written and read again is the same', () => {
  fc.assert(
    fc.property(fc.nat(), (ms) => {
      expect(parseDurationMs(formatDurationMs(ms))).toBe(ms);
    }),
  );
});

test('sizes are written in the largest unit', () => {
  expect([0, 312, 1_536, 2 ** 31, 1.5 * 2 ** 40].map(formatSizeBytes)).toEqual(['0', '312', '1.5Ki', '2Gi', '1.5Ti']);
});

test.for([
  ['8Gi', '8192Mi', 0],
  ['500m', '1', -1],
  ['1.28.3', '1.9.0', 1],
  ['22.04', '22.4.1', -1],
  ['v20.1.1', '20.1', 1],
  ['v20.1.0', '20.1', 0],
  ['edge', '1', undefined],
] as const)('%s against %s', ([left, right, sign]) => {
  const order = compareQuantities(left, right);
  expect(order === undefined ? undefined : Math.sign(order)).toBe(sign);
});
