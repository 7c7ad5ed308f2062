import picomatch from 'picomatch';

type Rule = { readonly matches: (path: string) => boolean; readonly directoryOnly: boolean; readonly negated: boolean };

/** The rules of one ignore file, for paths below its directory (`''` or `a/b`). */
export type IgnoreRules = { readonly below: string; readonly rules: readonly Rule[] };

/** Reads the patterns of a .gitignore: comments, `!`, a trailing slash for directories, a slash inside to anchor. */
export function parseIgnore(text: string, below: string): IgnoreRules {
  return { below, rules: text.split(/\r?\n/).flatMap((line) => ruleOf(line) ?? []) };
}

function ruleOf(line: string): Rule | undefined {
  let pattern = line.replace(/(?<!\\)\s+$/, '');
  if (pattern === '' || pattern.startsWith('#')) return undefined;
  const negated = pattern.startsWith('!');
  if (negated) pattern = pattern.slice(1);
  if (/^\\[#!]/.test(pattern)) pattern = pattern.slice(1);
  const directoryOnly = pattern.endsWith('/');
  if (directoryOnly) pattern = pattern.slice(0, -1);
  const anchored = pattern.includes('/');
  const glob = anchored ? pattern.replace(/^\//, '') : `**/${pattern}`;
  if (glob === '' || glob === '**/') return undefined;
  // Braces, extended globs and a leading "!" mean nothing in ignore files.
  const matches = picomatch(glob, { dot: true, nobrace: true, noextglob: true, nonegate: true });
  return { matches: (path) => matches(path), directoryOnly, negated };
}

/**
 * Whether `path` (a directory where `directory` says so) is ignored by the files from the root down to its directory: the
 * last rule that matches decides. The caller does not enter ignored directories, so what is below one is ignored too.
 */
export function isIgnored(files: readonly IgnoreRules[], path: string, directory: boolean): boolean {
  let ignored = false;
  for (const { below, rules } of files) {
    const relative = below === '' ? path : path.startsWith(`${below}/`) ? path.slice(below.length + 1) : undefined;
    if (relative === undefined) continue;
    for (const rule of rules) {
      if ((!rule.directoryOnly || directory) && rule.matches(relative)) ignored = !rule.negated;
    }
  }
  return ignored;
}
