import fs from 'node:fs';
import path from 'node:path';
import { codeOf } from '../../base/thrown.ts';
import { UsageError } from '../exit.ts';
import { gitState, type GitState } from '../git.ts';
import { fileHasher } from '../inputs/hash-files.ts';
import { loadPipeline, type LoadedPipeline, type Settings } from '../pipeline/load.ts';
import type { Terminal } from '../terminal.ts';

export const PIPELINE_FILE = 'switchyard.yaml';

export type FoundPipeline = LoadedPipeline & {
  /** As it is shown to people: relative to where they are. */
  readonly file: string;
  /** The directory of the file: the root of the work tree. */
  readonly root: string;
  readonly git: GitState;
};

/** The named pipeline file, or the one of this directory or the nearest above it. @throws {UsageError} where there is none. */
export function openPipeline(
  named: string | undefined,
  params: readonly (readonly [string, string])[],
  terminal: Terminal,
  settings?: Settings,
): FoundPipeline {
  const absolute = named === undefined ? findUpwards(terminal.cwd) : path.resolve(terminal.cwd, named);
  if (absolute === undefined) {
    throw new UsageError(
      `There is no ${PIPELINE_FILE} here or above`,
      'Write one (docs/pipeline.md), name one with --file, or run one command with "switchyard exec".',
    );
  }
  let text: string;
  try {
    text = fs.readFileSync(absolute, 'utf8');
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    throw new UsageError(`${absolute} cannot be read (${code})`, 'Name a pipeline file with --file.');
  }
  const root = path.dirname(absolute);
  const git = gitState(root);
  const host = { platform: `${process.platform}-${process.arch}`, node: process.versions.node };
  const context = {
    env: terminal.env,
    git,
    host,
    defaultName: path.basename(root) || 'build',
    params: new Map(params),
    ...(settings === undefined ? {} : { settings }),
  };
  const loaded = loadPipeline(text, { ...context, hashFiles: fileHasher(root) });
  return { ...loaded, file: path.relative(terminal.cwd, absolute) || absolute, root, git };
}

function findUpwards(directory: string): string | undefined {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const candidate = path.join(at, PIPELINE_FILE);
    if (fs.existsSync(candidate)) return candidate;
    if (at === path.dirname(at)) return undefined;
  }
}
