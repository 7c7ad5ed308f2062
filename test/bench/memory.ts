import { largeFile, manyFiles, peaksOf, restoresAtOnce } from '../fixtures/memory-yard.ts';

/**
 * The largest resident sets of coordinator, data plane and agent in builds that are large in one way each:
 * `node test/bench/memory.ts [CASE...]`. Needs room for three copies of what a case makes.
 */
const CASES: Readonly<Record<string, string>> = {
  idle: restoresAtOnce(1, 1),
  large: largeFile(20 * 1024 ** 3),
  files: manyFiles(1_000_000),
  restores: restoresAtOnce(64, 2_000),
};

const wanted = process.argv.slice(2);
for (const [name, pipeline] of Object.entries(CASES).filter(([one]) => wanted.length === 0 || wanted.includes(one))) {
  const peaks = await peaksOf(pipeline);
  const said = Object.entries(peaks).map(([process, bytes]) => `${process} ${Math.round(bytes / 1024 ** 2)} MiB`);
  process.stdout.write(`${name.padEnd(10)} ${said.join(', ')}\n`);
}
