import { expect, test } from 'vitest';
import { peakUnder, readsAtOnce } from '../fixtures/memory-blobs.ts';
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

test('ten thousand small reads at once take a data plane no more memory than they may', { timeout: 400_000 }, async () => {
  const { before, peak } = await peakUnder((plane, address) => readsAtOnce(plane, address, 10_000, 16 * 1024));
  expect(peak - before).toBeLessThan(10_000 * 64 * 1024); // a call takes about 36 KiB
});
