import fs from 'node:fs';
import path from 'node:path';
import { scanEntries, type EntryKind, type ScannedEntry } from '../../cache/tree/scan.ts';
import type { StatIndex } from '../../cache/tree/stat-index.ts';
import { isIgnored, parseIgnore, type IgnoreRules } from './ignore.ts';

/** Never inputs: the history and our own state. */
export const NEVER = new Set(['.git', '.switchyard', '.hg', '.svn']);
const IGNORE_FILES = ['.gitignore', '.switchyardignore'];

/** The files that a caller may send, scanned once; `ignored` are those that ignore files name. */
export type WorkTree = {
  readonly root: string;
  readonly entries: readonly (ScannedEntry & { readonly ignored: boolean })[];
};

export type WorkTreeOptions = {
  /** More patterns of .gitignore's form, relative to the root. */
  readonly ignore: readonly string[];
  /** What is looked at at all: nothing else is read, nor can it be in the way. `ignored` is what an ignore file names. */
  readonly wanted: (path: string, kind: EntryKind, ignored: boolean) => boolean;
  readonly statIndex?: StatIndex;
  /** What becomes of empty directories. */
  readonly emptyDirectories: 'keep' | 'drop';
};

/**
 * What is wanted below `root`, in one pass; never version control and our own state.
 * @throws {Fault} as `scanEntries`.
 */
export async function scanWorkTree(root: string, options: WorkTreeOptions, signal: AbortSignal): Promise<WorkTree> {
  const rules = new RuleFiles(root, options.ignore);
  const ignored = new Set<string>();
  const select = (at: string, kind: EntryKind): boolean => {
    const slash = at.lastIndexOf('/');
    const parent = slash < 0 ? '' : at.slice(0, slash);
    if (NEVER.has(at.slice(slash + 1))) return false;
    const isOut = ignored.has(parent) || isIgnored(rules.above(parent), at, kind === 'directory');
    if (isOut) ignored.add(at);
    return options.wanted(at, kind, isOut);
  };
  const { statIndex, emptyDirectories } = options;
  const scanned = await scanEntries(root, { select, emptyDirectories, ...(statIndex === undefined ? {} : { statIndex }) }, signal);
  return { root, entries: scanned.map((entry) => ({ ...entry, ignored: ignored.has(entry.path) })) };
}

/** Whether the ignore files below `root` name a path or one of the directories above it. */
export function ignoredIn(root: string): (path: string) => boolean {
  const rules = new RuleFiles(root, []);
  return (at) => {
    const names = at.split('/');
    return names.some((_, index) => isIgnored(rules.above(names.slice(0, index).join('/')), names.slice(0, index + 1).join('/'), true));
  };
}

/** The ignore files from the root down to a directory, each read once. */
export class RuleFiles {
  readonly #root: string;
  readonly #byDirectory = new Map<string, readonly IgnoreRules[]>();

  constructor(root: string, extra: readonly string[]) {
    this.#root = root;
    this.#byDirectory.set('', [parseIgnore(extra.join('\n'), ''), ...this.#read('')]);
  }

  above(directory: string): readonly IgnoreRules[] {
    const known = this.#byDirectory.get(directory);
    if (known !== undefined) return known;
    const slash = directory.lastIndexOf('/');
    const all = [...this.above(slash < 0 ? '' : directory.slice(0, slash)), ...this.#read(directory)];
    this.#byDirectory.set(directory, all);
    return all;
  }

  #read(directory: string): readonly IgnoreRules[] {
    return IGNORE_FILES.flatMap((name) => {
      try {
        return [parseIgnore(fs.readFileSync(path.join(this.#root, directory, name), 'utf8'), directory)];
      } catch {
        return []; // not there
      }
    });
  }
}
