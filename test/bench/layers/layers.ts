import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Bench, Figure } from '../bench.ts';
import { findOverlayTools, openMounts } from './agent.ts';
import { Archives, archivesMissing } from './archive.ts';
import { CORPORA_DIR, installedCorpora, sizeOfTree, smallCorpora, VARIANTS, type Corpora } from './corpus.ts';
import { publishAll, type Field, type Ground } from './field.ts';
import { bumpedTree, coldTree, largeFiles, sameTree } from './restores.ts';
import { startRig } from './rig.ts';
import { changedSave, unchangedSave } from './saves.ts';

const CASES = ['same', 'bumped', 'save', 'cold', 'large-files'] as const;
const MIB = 1024 * 1024;
/** Of each case: with three the whole takes about ten minutes on two cores. */
const ROUNDS = 3;

/** Trees from the cache onto an agent and back, beside what CI caches and `cp -al` do with the same trees in the same run. */
export const layersBench: Bench = {
  name: 'layers',
  about: 'restoring and saving trees of 65,000 files, beside tar.zst and cp -al; installs them first (npm)',
  knowsPeers: false,
  cases: CASES,
  async *run({ env, quick, only }) {
    const wants = (name: (typeof CASES)[number]) => only === undefined || only === name;
    await using stack = new AsyncDisposableStack();
    fs.mkdirSync(CORPORA_DIR, { recursive: true });
    const dir = fs.mkdtempSync(path.join(CORPORA_DIR, 'run-')); // where the trees are: links and renames must work between them
    stack.defer(() => fs.rmSync(dir, { recursive: true, force: true }));
    yield load('the machine at the start');
    const rig = stack.use(await startRig(dir, env));
    const missing = archivesMissing();
    if (missing !== undefined) process.stderr.write(`${missing}\n`);
    const archives = missing === undefined ? new Archives(rig.objects, path.join(dir, 'archives')) : undefined;
    const tools = findOverlayTools(dir);
    if (tools === undefined) process.stderr.write('NOT MEASURED with overlays: this host does not let this user mount them\n');
    const mounts = tools === undefined ? undefined : stack.use(await openMounts(tools, path.join(dir, 'mounts'), env));
    const meter = async () => {
      const used = await rig.meter();
      return { ...used, cpuSeconds: used.cpuSeconds + (mounts?.cpuSeconds ?? 0) };
    };
    const ground: Ground = { env, rig, archives, mounts, dir, meter, rounds: quick ? 2 : ROUNDS };
    const failed: unknown[] = [];
    if (only !== 'large-files') yield* attempted(failed, () => ofManyFiles(ground, quick, wants));
    if (wants('large-files')) yield* attempted(failed, () => largeFiles(ground, (quick ? 16 : 256) * MIB));
    yield load('the machine at the end');
    if (failed.length > 0) throw new AggregateError(failed, `${failed.length} of the cases failed`);
  },
};

type Wants = (name: (typeof CASES)[number]) => boolean;

async function* ofManyFiles(ground: Ground, quick: boolean, wants: Wants): AsyncGenerator<Figure> {
  const { rig, archives, dir } = ground;
  const corpora = quick ? smallCorpora(path.join(dir, 'corpora')) : await installedCorpora();
  yield* sizesOf(corpora);
  const field: Field = { ...ground, corpora, trees: await publishAll(corpora, rig, archives) };
  const failed: unknown[] = [];
  if (wants('same')) yield* attempted(failed, () => sameTree(field));
  if (wants('bumped')) yield* attempted(failed, () => bumpedTree(field));
  if (wants('save')) yield* attempted(failed, () => unchangedSave(field));
  if (wants('save')) yield* attempted(failed, () => changedSave(field));
  if (wants('cold')) yield* attempted(failed, () => coldTree(field));
  if (failed.length > 0) throw new AggregateError(failed, 'trees of many files');
}

/** The figures as far as they come: a case that fails is told, and costs no other its figures. */
async function* attempted(failed: unknown[], figures: () => AsyncGenerator<Figure>): AsyncGenerator<Figure> {
  try {
    yield* figures();
  } catch (error) {
    process.stderr.write(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    failed.push(error);
  }
}

function* sizesOf(corpora: Corpora): Generator<Figure> {
  for (const variant of VARIANTS) {
    const { fileCount, bytes } = sizeOfTree(corpora[variant]);
    yield { case: `tree: ${variant}`, metric: 'files', value: fileCount, unit: '' };
    yield { case: `tree: ${variant}`, metric: 'size', value: bytes / 1e6, unit: 'MB' };
  }
}

function load(when: string): Figure {
  return { case: when, metric: 'load average, 1 min', value: os.loadavg()[0] ?? 0, unit: '' };
}
