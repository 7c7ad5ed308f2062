import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { BlobSource } from '../../cache/tree/build.ts';
import type { Digest } from '../../cache/digest.ts';
import { treeOfEntries, type ScannedTree } from '../../cache/tree/scan.ts';
import { openStatIndex } from '../../cache/tree/stat-index.ts';
import { InputSelector, wantedBy, type Selection } from '../inputs/select.ts';
import { scanWorkTree } from '../inputs/work-tree.ts';
import { STATE_DIR } from '../locate.ts';
import type { Plan } from '../pipeline/plan.ts';
import type { Problem } from '../../base/document/problem.ts';
import type { StepInputs } from '../rpc/submit-request.ts';

/** A plan's inputs: a tree per step, and all their blobs together. */
export type PreparedInputs = {
  readonly inputs: ReadonlyMap<string, StepInputs>;
  readonly blobs: ReadonlyMap<Digest, BlobSource>;
  /** Errors for files that are not there, warnings for patterns that match nothing. */
  readonly problems: readonly Problem[];
};

/**
 * Scans the work tree once and makes each step's input tree of it. Files that did not change since the last time are not
 * read again. @throws {Fault} as `scanEntries`.
 */
export async function prepareInputs(plan: Plan, root: string, clock: Clock, signal: AbortSignal): Promise<PreparedInputs> {
  if (plan.steps.every((step) => step.inputs.include.length === 0)) return { inputs: emptyInputs(plan), blobs: new Map(), problems: [] };
  const stateDir = stateDirIn(root);
  const statIndex = stateDir === undefined ? undefined : openStatIndex(path.join(stateDir, 'stat-index'), clock);
  const wanted = wantedBy(plan.steps.map((step) => step.inputs));
  const options = { ignore: plan.ignore, wanted, emptyDirectories: 'drop' as const };
  const tree = await scanWorkTree(root, { ...options, ...(statIndex === undefined ? {} : { statIndex }) }, signal);
  statIndex?.save();
  const selector = new InputSelector(tree);
  const trees = new Map<Selection, ScannedTree>();
  const inputs = new Map<string, StepInputs>();
  const blobs = new Map<Digest, BlobSource>();
  const problems: Problem[] = [];
  for (const step of plan.steps) {
    const selection = selector.select(step.inputs);
    const known = trees.get(selection);
    const built = known ?? treeOfEntries(selection.entries);
    trees.set(selection, built);
    inputs.set(step.name, { root: built.root, bytes: built.bytes });
    if (known !== undefined) continue;
    for (const [digest, source] of built.blobs) blobs.set(digest, source);
    for (const { pattern, literal } of selection.unmatched) problems.push(unmatched(step.key, pattern, literal, step.place));
  }
  return { inputs, blobs, problems };
}

/**
 * Our folder beside the pipeline file, into which only its owner may look; undefined where it cannot be written: then nothing
 * is remembered.
 */
export function stateDirIn(root: string): string | undefined {
  const dir = path.join(root, STATE_DIR);
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    fs.accessSync(dir, fs.constants.W_OK);
    return dir;
  } catch {
    return undefined; // a work tree that is mounted read-only, as some CI systems do
  }
}

function emptyInputs(plan: Plan): ReadonlyMap<string, StepInputs> {
  const empty = treeOfEntries([]);
  // The empty directory is a blob like any other; servers hold the empty blob without being told.
  return new Map(plan.steps.map((step) => [step.name, { root: empty.root, bytes: 0 }]));
}

function unmatched(key: string, pattern: string, literal: boolean, place: Problem['place']): Problem {
  const field = `steps.${key}.inputs`;
  const hint = 'Check the spelling, and that no ignore file names it ("ignored: true" takes such files too).';
  if (literal) return { severity: 'error', place, field, message: `there is no file or directory "${pattern}"`, hint, rule: undefined };
  return { severity: 'warning', place, field, message: `the pattern "${pattern}" matches nothing`, hint, rule: 'input-matches-nothing' };
}
