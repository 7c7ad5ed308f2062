import picomatch from 'picomatch';
import type { InputsAsWritten } from '../pipeline/table.ts';
import type { WorkTree } from './work-tree.ts';

/** What a step's patterns chose. */
export type Selection = {
  readonly entries: WorkTree['entries'];
  /** Patterns that chose nothing. `literal` is one without wildcards: a file that somebody expects. */
  readonly unmatched: readonly { readonly pattern: string; readonly literal: boolean }[];
};

type Pattern = { readonly pattern: string; readonly literal: boolean; readonly matches: (path: string) => boolean };

/** Whether somebody who wrote this path most likely meant a pattern. Brackets are in the names of real files (`[id].ts`). */
export function looksLikePattern(path: string): boolean {
  return /[*?]|\{[^}]*,[^}]*\}/.test(path);
}

/** A pattern without wildcards names a file, or a directory with all below it; one with wildcards is matched as it stands. */
export function compilePattern(pattern: string): Pattern {
  const tidy = pattern.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  if (tidy === '' || tidy === '.') return { pattern, literal: false, matches: () => true };
  const literal = !picomatch.scan(tidy).isGlob;
  if (literal) return { pattern, literal, matches: (path) => path === tidy || path.startsWith(`${tidy}/`) };
  const matches = picomatch(tidy, { dot: true });
  return { pattern, literal, matches: (path) => matches(path) };
}

/** Chooses from one scan for many steps; patterns are compiled once. */
export class InputSelector {
  readonly #tree: WorkTree;
  readonly #compiled = new Map<string, Pattern>();
  readonly #selections = new Map<string, Selection>();

  constructor(tree: WorkTree) {
    this.#tree = tree;
  }

  /** The entries that `inputs` name; the same answer object for equal inputs. */
  select(inputs: InputsAsWritten): Selection {
    const key = JSON.stringify([inputs.include, inputs.exclude, inputs.ignored]);
    const known = this.#selections.get(key);
    if (known !== undefined) return known;
    const include = inputs.include.map((pattern) => this.#pattern(pattern));
    const exclude = inputs.exclude.map((pattern) => this.#pattern(pattern));
    const used = new Set<Pattern>();
    const entries = this.#tree.entries.filter((entry) => {
      if (entry.ignored && !inputs.ignored) return false;
      const hits = include.filter((pattern) => pattern.matches(entry.path));
      for (const hit of hits) used.add(hit);
      return hits.length > 0 && !exclude.some((pattern) => pattern.matches(entry.path));
    });
    const selection = { entries, unmatched: include.filter((pattern) => !used.has(pattern)) };
    this.#selections.set(key, selection);
    return selection;
  }

  #pattern(pattern: string): Pattern {
    const compiled = this.#compiled.get(pattern) ?? compilePattern(pattern);
    this.#compiled.set(pattern, compiled);
    return compiled;
  }
}

/**
 * What the scan must look at for these steps: the files that one of them could choose, and the directories on the way. What
 * ignore files name is wanted by those that take ignored files only.
 */
export function wantedBy(all: readonly InputsAsWritten[]): (path: string, kind: string, ignored: boolean) => boolean {
  const anyway = wantedByPatterns(all);
  const thoughIgnored = wantedByPatterns(all.filter((inputs) => inputs.ignored));
  return (path, kind, ignored) => (ignored ? thoughIgnored : anyway)(path, kind);
}

function wantedByPatterns(all: readonly InputsAsWritten[]): (path: string, kind: string) => boolean {
  const compiled = new Map(all.flatMap((inputs) => inputs.include).map((pattern) => [pattern, compilePattern(pattern)]));
  const patterns = [...compiled.values()];
  const bases = patterns.map(({ pattern }) => picomatch.scan(pattern.replace(/^(\.\/)+/, '')).base.replace(/^\.$/, ''));
  return (path, kind) =>
    patterns.some(({ matches }, index) => {
      const base = bases[index] ?? '';
      const onTheWay = kind === 'directory' && (base === '' || base === path || base.startsWith(`${path}/`) || path.startsWith(`${base}/`));
      return onTheWay || matches(path);
    });
}
