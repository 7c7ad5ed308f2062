import { expect, test } from 'vitest';
import { largeFile, peaksOf, restoresAtOnce } from '../fixtures/memory-yard.ts';

const MIB = 1024 * 1024;
/** A process that does little has about 200 MiB resident; the file below is twice as large as this. */
const LIMIT_BYTES = 512 * MIB;

const LOADS: readonly (readonly [name: string, pipeline: string])[] = [
  ['a file of 1 GiB', largeFile(1_024 * MIB)],
  ['64 restores at once', restoresAtOnce(64, 100)],
];

test.for(LOADS)('%s takes coordinator, data plane and agent no more memory than they may', { timeout: 400_000 }, async ([, pipeline]) => {
  const peaks = Object.entries(await peaksOf(pipeline));
  expect(peaks.filter(([, bytes]) => bytes > LIMIT_BYTES)).toEqual([]);
});
