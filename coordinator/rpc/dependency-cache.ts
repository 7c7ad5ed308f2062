import { globProblem } from '../../base/glob.ts';
import type { KeyPart } from '../../cache/entries/entry-store.ts';
import type { DependencyCache__Output } from '../../proto/gen/switchyard/v1/DependencyCache.ts';
import { LIMITS } from '../core/limits.ts';
import type { DependencyCache } from '../core/spec.ts';
import { bad, brief, pathField, textField } from './fields.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;
const POLICIES: ReadonlyMap<DependencyCache__Output['policy'], Pick<DependencyCache, 'pulls' | 'pushes'>> = new Map([
  ['DEPENDENCY_POLICY_UNSPECIFIED', { pulls: true, pushes: true }],
  ['DEPENDENCY_POLICY_BOTH', { pulls: true, pushes: true }],
  ['DEPENDENCY_POLICY_PULL', { pulls: true, pushes: false }],
  ['DEPENDENCY_POLICY_PUSH', { pulls: false, pushes: true }],
]);
const PART_NAME_MAX = 512;
const PART_VALUE_MAX = 1_024;

/** All text of a dependency cache, for the bound on a step's. */
export function textsOf({ name, paths, key, parts, fallback, only }: DependencyCache__Output): readonly string[] {
  return [name, key, ...paths, ...fallback, ...only, ...parts.flatMap((part) => [part.name, part.value])];
}

/** A step's dependency caches. @throws {Fault} BAD_REQUEST, PATH_ESCAPES naming the field */
export function dependencyCachesOf(messages: readonly DependencyCache__Output[], field: string): readonly DependencyCache[] {
  refuseMore(messages, LIMITS.dependencyCachesPerStep, field);
  const caches = messages.map((message, index) => dependencyCacheOf(message, `${field}[${index}]`));
  const names = new Set<string>();
  const paths: string[] = [];
  for (const [index, cache] of caches.entries()) {
    if (names.has(cache.name)) throw bad(`${field}[${index}].name`, `"${cache.name}" is the name of another of the step's already`);
    names.add(cache.name);
    for (const [at, path] of cache.paths.entries()) {
      const other = paths.find((one) => one === path || one.startsWith(`${path}/`) || path.startsWith(`${one}/`));
      if (other !== undefined)
        throw bad(`${field}[${index}].paths[${at}]`, `"${brief(path)}" is, holds or is in the path "${brief(other)}"`);
      paths.push(path);
    }
  }
  return caches;
}

function dependencyCacheOf(message: DependencyCache__Output, field: string): DependencyCache {
  const { name, paths, parts, fallback, only } = message;
  if (!NAME.test(name)) throw bad(`${field}.name`, `must be 1 to 63 letters, digits, "_", "." and "-", but is "${brief(name)}"`);
  if (paths.length === 0) throw bad(`${field}.paths`, 'must name at least one directory');
  refuseMore(paths, LIMITS.pathsPerDependencyCache, `${field}.paths`);
  refuseMore(fallback, LIMITS.fallbacksPerDependencyCache, `${field}.fallback`);
  refuseMore(parts, LIMITS.keyPartsPerDependencyCache, `${field}.parts`);
  const policy = POLICIES.get(message.policy);
  if (policy === undefined) throw bad(`${field}.policy`, `must be one of ${[...POLICIES.keys()].join(', ')}`);
  refuseMore(only, LIMITS.patternsPerDependencyCache, `${field}.only`);
  if (only.length > 0 && policy.pushes)
    throw bad(`${field}.only`, 'needs the policy DEPENDENCY_POLICY_PULL: what takes up a part cannot leave the whole');
  const keeps = [...(message.keepModes ? (['modes'] as const) : []), ...(message.keepMtimes ? (['mtimes'] as const) : [])];
  return {
    name,
    paths: paths.map((path, index) => pathField(path, `${field}.paths[${index}]`, false)),
    key: keyField(message.key, `${field}.key`),
    parts: parts.map((part, index) => partOf(part, `${field}.parts[${index}]`)),
    fallback: fallback.map((prefix, index) => keyField(prefix, `${field}.fallback[${index}]`)),
    ...policy,
    ...(only.length === 0 ? {} : { only: only.map((glob, index) => globField(glob, `${field}.only[${index}]`)) }),
    ...(keeps.length === 0 ? {} : { keeps }),
  };
}

function partOf({ name, value }: KeyPart, field: string): KeyPart {
  return { name: textField(name, `${field}.name`, 1, PART_NAME_MAX), value: textField(value, `${field}.value`, 0, PART_VALUE_MAX) };
}

function globField(glob: string, field: string): string {
  const problem = globProblem(glob);
  if (problem !== undefined) throw bad(field, `"${brief(glob)}": ${problem}`);
  return glob;
}

/** Text that may be an entry's key or begin one. */
function keyField(text: string, field: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.dependencyKeyBytes) throw bad(field, `must have at most ${LIMITS.dependencyKeyBytes} bytes, but has ${bytes}`);
  if (!text.isWellFormed()) throw bad(field, 'must be well-formed Unicode');
  return textField(text, field, 1, LIMITS.dependencyKeyBytes);
}

function refuseMore(list: readonly unknown[], max: number, field: string): void {
  if (list.length > max) throw bad(field, `has ${list.length} entries, at most ${max} are taken`);
}
