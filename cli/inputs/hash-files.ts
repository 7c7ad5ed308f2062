import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../../base/thrown.ts';
import type { HashedFiles } from '../pipeline/expression.ts';
import { isIgnored } from './ignore.ts';
import { compilePattern } from './select.ts';
import { NEVER, RuleFiles } from './work-tree.ts';

/** Files that one `hash(…)` takes; more are a mistake in the pattern. */
const FILES_MAX = 10_000;
const READ_BYTES = 1024 * 1024;

type Hashed = HashedFiles | { readonly wrong: string };

/**
 * What `hash(…)` reads of the work tree: paths of files and directories, which must be there, and patterns. What ignore files name is
 * left out, but for a file that is named itself. Links count by where they point to. Equal calls read once.
 */
export function fileHasher(root: string): (patterns: readonly string[], ignore: readonly string[]) => Hashed {
  const known = new Map<string, Hashed>();
  return (patterns, ignore) => {
    const key = JSON.stringify([patterns, ignore]);
    const found = known.get(key) ?? hashFiles(root, patterns, ignore);
    known.set(key, found);
    return found;
  };
}

function hashFiles(root: string, patterns: readonly string[], ignore: readonly string[]): Hashed {
  const rules = new RuleFiles(root, ignore);
  const paths = new Set<string>();
  try {
    for (const pattern of patterns) {
      const found = filesOf(root, pattern, rules);
      if ('wrong' in found) return found;
      for (const one of found) paths.add(one);
      if (paths.size > FILES_MAX) return { wrong: `${listed(patterns)} take in more than ${FILES_MAX} files` };
    }
    if (paths.size === 0) return { wrong: `nothing matches ${listed(patterns)}` };
    const files = [...paths].toSorted().map((at) => ({ path: at, digest: digestOfFile(path.join(root, at)) }));
    const whole = createHash('sha256');
    for (const file of files) whole.update(`${file.path}\0${file.digest}\n`);
    return { digest: whole.digest('hex'), files };
  } catch (error) {
    return { wrong: `the work tree cannot be read: ${reasonOf(error)}` };
  }
}

function filesOf(root: string, written: string, rules: RuleFiles): Iterable<string> | { readonly wrong: string } {
  const tidy = path.posix.normalize(written).replace(/\/$/, '');
  if (tidy.startsWith('/') || tidy === '..' || tidy.startsWith('../')) return { wrong: `"${written}" is no path inside the work tree` };
  const pattern = compilePattern(tidy);
  if (!pattern.literal) return [...below(root, '', rules)].filter((at) => pattern.matches(at));
  const stat = fs.lstatSync(path.join(root, tidy), { throwIfNoEntry: false });
  if (stat === undefined) return { wrong: `there is no file or directory "${written}"` };
  return stat.isDirectory() ? below(root, tidy, rules) : [tidy];
}

/** Files and links below a directory of the work tree, without what ignore files name. */
function* below(root: string, directory: string, rules: RuleFiles): Generator<string> {
  for (const entry of fs.readdirSync(path.join(root, directory), { withFileTypes: true })) {
    const at = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (NEVER.has(entry.name) || isIgnored(rules.above(directory), at, entry.isDirectory())) continue;
    if (entry.isDirectory()) yield* below(root, at, rules);
    else if (entry.isFile() || entry.isSymbolicLink()) yield at;
  }
}

function digestOfFile(absolute: string): string {
  const hash = createHash('sha256');
  if (fs.lstatSync(absolute).isSymbolicLink()) return hash.update(`link to ${fs.readlinkSync(absolute)}`).digest('hex');
  const file = fs.openSync(absolute, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let length = fs.readSync(file, buffer); length > 0; length = fs.readSync(file, buffer)) hash.update(buffer.subarray(0, length));
  } finally {
    fs.closeSync(file);
  }
  return hash.digest('hex');
}

function listed(patterns: readonly string[]): string {
  return patterns.map((pattern) => `"${pattern}"`).join(', ');
}
