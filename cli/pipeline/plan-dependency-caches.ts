import { hash } from 'node:crypto';
import { globProblem } from '../../base/glob.ts';
import type { KeyPart } from '../../cache/entries/entry-store.ts';
import { tidyPath } from './tidy-path.ts';
import type { DependencyCacheAsWritten } from './dependency-cache-type.ts';

/** A dependency cache as the file asks for it. */
export type PlannedDependencyCache = {
  readonly name: string;
  /** Relative to the working directory. */
  readonly paths: readonly string[];
  readonly key: string;
  /** Named parts of the key, for explaining misses. */
  readonly parts: readonly KeyPart[];
  readonly fallback: readonly string[];
  readonly policy: 'both' | 'pull' | 'push';
  /** Globs of what is taken up; none = all. */
  readonly only: readonly string[];
  readonly keepModes: boolean;
  readonly keepMtimes: boolean;
};

/** Bounds of one step; the server has the same. */
const CACHES_MAX = 16;
const PATHS_MAX = 16;
const FALLBACKS_MAX = 10;
const PATTERNS_MAX = 32;
/** Parts of one key; what is beyond is not told apart in an explanation. */
const PARTS_MAX = 64;

/** Tells what is wrong with a field of a step. */
type Wrong = (field: string, message: string, hint?: string) => void;

/** A step's dependency caches with names and policies filled in. */
export function planDependencyCaches(written: readonly DependencyCacheAsWritten[], wrong: Wrong): readonly PlannedDependencyCache[] {
  const planned = written.flatMap((cache) => (cache.key === undefined || cache.paths === undefined ? [] : [planOne(cache, wrong)]));
  if (planned.length > CACHES_MAX) wrong('dependencyCache', `${planned.length} are more than the ${CACHES_MAX} that a step may have`);
  const names = new Set<string>();
  for (const { name } of planned) {
    if (names.has(name)) wrong('dependencyCache', `two are named "${name}"`, 'Give each a "name" of its own.');
    names.add(name);
  }
  const all = planned.flatMap(({ paths }) => paths);
  for (const [index, path] of all.entries()) {
    const other = all.find((candidate, at) => at !== index && (candidate === path || candidate.startsWith(`${path}/`)));
    if (other !== undefined && path !== '')
      wrong('dependencyCache', `the path "${path}" holds "${other}", which is a path of its own`, 'Name only one of them.');
  }
  return planned;
}

function planOne(cache: DependencyCacheAsWritten, wrong: Wrong): PlannedDependencyCache {
  const paths = (cache.paths ?? []).map(tidyPath);
  if (paths.length === 0 || paths.length > PATHS_MAX) wrong('dependencyCache', `a dependency cache has 1 to ${PATHS_MAX} paths`);
  if (paths.includes(''))
    wrong('dependencyCache', 'a path must be a directory below the working directory', 'Name one, such as "node_modules".');
  const fallback = cache.fallback ?? [];
  if (fallback.length > FALLBACKS_MAX) wrong('dependencyCache', `${fallback.length} fallbacks are more than ${FALLBACKS_MAX}`);
  const { policy = 'both', only = [] } = cache;
  if (only.length > PATTERNS_MAX) wrong('dependencyCache', `${only.length} globs in "only" are more than ${PATTERNS_MAX}`);
  for (const glob of only) {
    const problem = globProblem(glob);
    if (problem !== undefined) wrong('dependencyCache', `"${glob}" in "only": ${problem}`);
  }
  if (only.length > 0 && policy !== 'pull') {
    const hint = 'Write "policy: pull", and let another step keep the directories whole.';
    wrong('dependencyCache', '"only" takes up a part, which cannot be left as the whole', hint);
  }
  const madeOf = cache.key?.madeOf;
  const template = { name: 'key template', value: madeOf?.written ?? cache.key?.key ?? '' };
  return {
    name: cache.name ?? nameAfter(paths[0] ?? ''),
    paths,
    key: cache.key?.key ?? '',
    parts: [...(madeOf?.parts ?? []).slice(0, PARTS_MAX - 1), template].map(briefPart),
    fallback,
    policy,
    only,
    keepModes: cache.modes === 'full',
    keepMtimes: cache.mtimes === 'preserve',
  };
}

/** Servers take names of 512 and values of 1,024 characters on one line. */
function briefPart({ name, value }: KeyPart): KeyPart {
  const line = (text: string, max: number) => {
    const flat = text.replaceAll(/\p{Cc}+/gu, ' ');
    return flat.length <= max ? flat : `${flat.slice(0, max - 80)}… (SHA-256 ${hash('sha256', text, 'hex')})`;
  };
  return { name: line(name, 512), value: line(value, 1_024) };
}

/** A path as a name: `packages/web/.cache` becomes `packages-web-.cache`. */
function nameAfter(path: string): string {
  const name = path.replaceAll(/[^A-Za-z0-9_.-]/g, '-').replace(/^[.-]+/, '');
  return name.slice(0, 63) || 'cache';
}
