import { diffTrees } from '../../cache/layer/diff.ts';
import { DirectoryReader } from '../../cache/tree/directory-reader.ts';
import type { ReadBlob } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import type { ActionParts } from '../rpc/action.ts';

/** Changed inputs beyond which only their being many is said. */
const CHANGES_MAX = 20_000;
/** Paths, variables and outputs that are named. */
const NAMED_MAX = 20;
const VALUE_LENGTH_MAX = 80;

/**
 * Why two actions are not the same, a line for each thing, what is cheapest to have overlooked first. Values of variables are not said:
 * they may be secrets.
 * @throws {Fault} BLOB_UNKNOWN where directories of the inputs are in the cache no more; as `read`
 */
export async function actionChanges(
  before: ActionParts,
  now: ActionParts,
  read: ReadBlob,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return [
    ...wordChange('the command', before.command.join(' '), now.command.join(' ')),
    ...wordChange('the working directory', before.workingDirectory, now.workingDirectory),
    ...named(mapChanges(before.env, now.env).map(({ name, how }) => `the variable ${name} ${how}`)),
    ...named(mapChanges(setOf(before.outputs), setOf(now.outputs)).map(({ name, how }) => `the output ${name} ${how}`)),
    ...mapChanges(before.platform, now.platform).map(({ name, old, fresh }) => `${name} was ${brief(old)} and is ${brief(fresh)}`),
    ...saltChanges(before.salt, now.salt),
    ...(await inputChanges(before.inputRoot, now.inputRoot, read, signal)),
  ];
}

function wordChange(what: string, before: string, now: string): readonly string[] {
  return before === now ? [] : [`${what} was ${brief(before)} and is ${brief(now)}`];
}

function brief(value: string | undefined): string {
  if (value === undefined || value === '') return 'not given';
  return value.length <= VALUE_LENGTH_MAX ? value : `${value.slice(0, VALUE_LENGTH_MAX - 1)}…`;
}

function setOf(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [name, '']));
}

type Change = { readonly name: string; readonly how: string; readonly old: string | undefined; readonly fresh: string | undefined };

function mapChanges(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly Change[] {
  return [...new Set([...now.keys(), ...before.keys()])]
    .map((name) => ({ name, old: before.get(name), fresh: now.get(name) }))
    .filter(({ old, fresh }) => old !== fresh)
    .map((one) => ({ ...one, how: one.old === undefined ? 'is new' : one.fresh === undefined ? 'is gone' : 'has changed' }));
}

function named(lines: readonly string[]): readonly string[] {
  return lines.length <= NAMED_MAX ? lines : [...lines.slice(0, NAMED_MAX), `… and ${lines.length - NAMED_MAX} more of this kind`];
}

/** The salt holds the step's own, and the keys of its dependency caches where it has any. */
function saltChanges(before: string, now: string): readonly string[] {
  if (before === now) return [];
  const [old, fresh] = [cachesOf(before), cachesOf(now)];
  const keys = mapChanges(old.caches, fresh.caches);
  const lines = [
    ...(old.salt === fresh.salt ? [] : ['the salt has changed']),
    ...keys.map((key) => `the key of the dependency cache ${key.name} was ${brief(key.old)} and is ${brief(key.fresh)}`),
  ];
  return lines.length === 0 ? ['paths of its dependency caches have changed'] : lines;
}

function cachesOf(salt: string): { readonly salt: string; readonly caches: ReadonlyMap<string, string> } {
  try {
    const parsed: unknown = JSON.parse(salt);
    const [own, ...caches]: readonly unknown[] = Array.isArray(parsed) ? parsed : [];
    const pairs = caches.map((cache) => {
      if (typeof cache !== 'object' || cache === null || !('name' in cache) || !('key' in cache))
        throw new TypeError('no dependency cache');
      return [String(cache.name), String(cache.key)] as const;
    });
    if (typeof own === 'string' && pairs.length > 0) return { salt: own, caches: new Map(pairs) };
  } catch {
    // a salt that people wrote
  }
  return { salt, caches: new Map() };
}

async function inputChanges(before: Digest, now: Digest, read: ReadBlob, signal: AbortSignal): Promise<readonly string[]> {
  if (before === now) return [];
  const delta = await diffTrees(before, now, new DirectoryReader(read), CHANGES_MAX, signal);
  if (delta === undefined) return [`inputs have changed: more than ${CHANGES_MAX} of them, or files with several names`];
  const removed = new Set(delta.removed.map(({ path }) => path));
  const made = new Set([...delta.files, ...delta.links].map(({ path }) => path));
  const directories = new Set(delta.directories);
  const lines = [
    ...[...made].map((path) => `the input ${path} ${removed.has(path) ? 'has changed' : 'is new'}`),
    ...[...directories].filter((path) => ![...made].some((file) => file.startsWith(`${path}/`))).map((path) => `the input ${path}/ is new`),
    ...delta.removed
      .filter(({ path }) => !made.has(path) && !directories.has(path))
      .map(({ path, kind }) => `the input ${path}${kind === 'directory' ? '/' : ''} is gone`),
  ];
  return lines.length === 0 ? ['modes or times of inputs have changed'] : named(lines.toSorted());
}
