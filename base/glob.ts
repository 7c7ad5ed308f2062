/** Longest glob. */
const GLOB_LENGTH_MAX = 256;

/**
 * What is wrong with a glob, for people; undefined where nothing is. Globs know `*` and `?` within a name and `**` for any number of
 * directories, and nothing else, so that no glob of a stranger takes long to match.
 */
export function globProblem(glob: string): string | undefined {
  if (glob === '' || glob.length > GLOB_LENGTH_MAX) return `a glob has 1 to ${GLOB_LENGTH_MAX} characters`;
  if (/[\u0000-\u001f\u007f]/.test(glob)) return 'it has a control character';
  if (/[[\]{}()!\\]/.test(glob)) return 'its wildcards are "*", "?" and "**", nothing else: write several globs';
  if (glob.startsWith('/')) return 'it is relative: leave the "/" at its beginning out';
  const names = glob.split('/');
  if (names.includes('..')) return 'it cannot lead out by ".."';
  if (names.some((name) => name.includes('**') && name !== '**')) return '"**" stands for whole directories: write it between "/"';
  return undefined;
}

/**
 * A function that tells whether a relative path, names with `/` between, is what the glob means. One without wildcards means what it
 * names and all below that. The time goes with the product of the lengths, at worst.
 */
export function globMatcher(glob: string): (path: string) => boolean {
  const wanted = glob.split('/').filter((name) => name !== '' && name !== '.');
  if (!/[*?]/.test(glob)) {
    const literal = wanted.join('/');
    return (path) => path === literal || path.startsWith(`${literal}/`);
  }
  return (path) => matchesNames(wanted, path.split('/'));
}

function matchesNames(wanted: readonly string[], names: readonly string[]): boolean {
  return matches(wanted.length, names.length, {
    isMany: (at) => wanted[at] === '**',
    fits: (at, to) => matchesName(wanted[at] ?? '', names[to] ?? ''),
  });
}

function matchesName(wanted: string, name: string): boolean {
  return matches(wanted.length, name.length, {
    isMany: (at) => wanted[at] === '*',
    fits: (at, to) => wanted[at] === '?' || wanted[at] === name[to],
  });
}

/** Whether a row of wanted things, some of which stand for any number, fits a row of `length`. Goes back to the last of these only. */
function matches(
  wantedLength: number,
  length: number,
  { isMany, fits }: { readonly isMany: (at: number) => boolean; readonly fits: (at: number, to: number) => boolean },
): boolean {
  let at = 0;
  let to = 0;
  let many: { readonly at: number; readonly to: number } | undefined;
  while (to < length) {
    if (at < wantedLength && isMany(at)) {
      many = { at, to };
      at += 1;
    } else if (at < wantedLength && fits(at, to)) {
      at += 1;
      to += 1;
    } else if (many !== undefined) {
      many = { at: many.at, to: many.to + 1 };
      at = many.at + 1;
      to = many.to;
    } else return false;
  }
  while (at < wantedLength && isMany(at)) at += 1;
  return at === wantedLength;
}
