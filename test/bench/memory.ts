import { blobUpAndDown, peakUnder, readsAtOnce } from '../fixtures/memory-blobs.ts';
import { largeFile, manyFiles, peaksOf, restoresAtOnce } from '../fixtures/memory-yard.ts';

/**
 * The largest resident sets of coordinator, data plane and agent in builds that are large in one way each, and of a data plane under
 * what one client can ask at once: `node test/bench/memory.ts [CASE...]`. Needs room for three copies of what a case makes.
 */
const CASES: Readonly<Record<string, () => Promise<Readonly<Record<string, number>>>>> = {
  idle: () => peaksOf(restoresAtOnce(1, 1)),
  large: () => peaksOf(largeFile(20e9)),
  files: () => peaksOf(manyFiles(1_000_000)),
  restores: () => peaksOf(restoresAtOnce(64, 2_000)),
  blob: () => peakUnder((plane) => blobUpAndDown(plane, 2_048)),
  reads: () => peakUnder((plane, address) => readsAtOnce(plane, address, 10_000, 16 * 1024)),
};

const wanted = process.argv.slice(2);
for (const [name, peaks] of Object.entries(CASES).filter(([one]) => wanted.length === 0 || wanted.includes(one))) {
  const said = Object.entries(await peaks()).map(([process, bytes]) => `${process} ${Math.round(bytes / 1024 ** 2)} MiB`);
  process.stdout.write(`${name.padEnd(10)} ${said.join(', ')}\n`);
}
