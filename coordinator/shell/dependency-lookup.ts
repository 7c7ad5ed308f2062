import { scopeChain } from '../../base/caller.ts';
import { isFault } from '../../base/fault.ts';
import { formatDurationMs, formatInstant } from '../../base/quantity.ts';
import { decodeStepResult } from '../../cache/action/action-result.ts';
import type { DirectoryOutput } from '../../cache/action/result.ts';
import type { Entry, EntryStore } from '../../cache/entries/entry-store.ts';
import type { DependencyLookup } from '../core/dependency.ts';
import type { DependencyCache } from '../core/spec.ts';
import { entryKeyOf, keyPrefixOf, partsOf, writtenKeyOf } from './dependency-key.ts';
import { changesBetween } from './key-changes.ts';
import type { SeenEntries } from './seen-entries.ts';

/** Where a step's dependency caches are looked up: its build's project and scope, and what this coordinator has seen there before. */
export type DependencyPlace = {
  /** Undefined where this coordinator has no store for them. */
  readonly entries: Pick<EntryStore, 'get' | 'newest'> | undefined;
  readonly project: string;
  readonly scope: string;
  readonly seen: SeenEntries;
};

/** How long steps wait for all of their lookups: beginning without costs less than waiting for a store that is in trouble. */
export const LOOKUP_MS = 5_000;

/** Looks a step's dependency caches up. Never throws, but for `signal`: what cannot be looked up is said to be so. */
export async function lookUpAll(
  caches: readonly DependencyCache[],
  place: DependencyPlace,
  signal: AbortSignal,
  lookupMs = LOOKUP_MS,
): Promise<readonly DependencyLookup[]> {
  const timeout = AbortSignal.timeout(lookupMs);
  const either = AbortSignal.any([signal, timeout]);
  const lookups = await Promise.all(
    caches.map((cache) => lookUp(cache, place, either).catch((error: unknown) => failed(cache, place, error, timeout, lookupMs))),
  );
  signal.throwIfAborted();
  return lookups;
}

function failed(cache: DependencyCache, place: DependencyPlace, error: unknown, timeout: AbortSignal, lookupMs: number): DependencyLookup {
  const cause = isFault(error, 'FORBIDDEN') ? `the scopes ${scopesText(place)} may not be read` : 'the store could not be asked';
  const message = timeout.aborted
    ? `no answer within ${formatDurationMs(lookupMs)}`
    : error instanceof Error
      ? error.message
      : String(error);
  return { name: cache.name, found: { kind: 'unknown' }, why: [], warning: `${cause}, so the step begins without: ${message}` };
}

/** The key itself in the own scope and its ancestors; then each fallback, there the nearest scope's newest entry. */
async function lookUp(cache: DependencyCache, place: DependencyPlace, signal: AbortSignal): Promise<DependencyLookup> {
  const { name } = cache;
  if (!cache.pulls) return { name, found: { kind: 'unwanted' }, why: [] };
  const { entries, project } = place;
  if (entries === undefined) throw new Error('this coordinator has none for dependency caches');
  const scopes = scopeChain(place.scope);
  const key = entryKeyOf(cache);
  const exact = await entries.get('dependency', project, scopes, key, signal);
  const exactTrees = exact === undefined ? undefined : treesOf(exact, cache);
  if (exact !== undefined && exactTrees !== undefined) {
    place.seen.note(project, exact.at.owner.scope, key);
    return { name, found: foundOf('exact', exact, exactTrees), why: [] };
  }
  const cause = exact === undefined ? causeOf(place, key) : ['the entry of the key cannot be read'];
  for (const prefix of cache.fallback) {
    const entry = await entries.newest('dependency', project, scopes, keyPrefixOf(cache) + prefix, signal);
    const trees = entry === undefined ? undefined : treesOf(entry, cache);
    if (entry === undefined || trees === undefined) continue;
    return { name, found: foundOf('fallback', entry, trees), why: [...cause, ...changesSince(cache, entry)] };
  }
  const nearest = await entries.newest('dependency', project, scopes, `${name}/`, signal);
  const nothing = `nothing is kept under the name "${name}" yet in the scopes ${scopesText(place)}`;
  const why = nearest === undefined ? [...cause, nothing] : [...cause, ...changesSince(cache, nearest)];
  return { name, found: { kind: 'nothing' }, why };
}

/** A cause beside the key: it was there. */
function causeOf({ project, scope, seen }: DependencyPlace, key: string): readonly string[] {
  for (const one of scopeChain(scope)) {
    const at = seen.seenAt(project, one, key);
    if (at === undefined) continue;
    return [`it was in the scope ${one} at ${formatInstant(at)} and is gone: evicted, purged, or a part of it was lost`];
  }
  return [];
}

function changesSince(cache: DependencyCache, entry: Entry): readonly string[] {
  const { build } = entry.provenance;
  const from = `the nearest is ${writtenKeyOf(entry.at.key)} in the scope ${entry.at.owner.scope}${build === '' ? '' : `, of build ${build}`}`;
  return [from, ...changesBetween(entry.parts, partsOf(cache))];
}

function foundOf(kind: 'exact' | 'fallback', entry: Entry, trees: readonly DirectoryOutput[]): DependencyLookup['found'] {
  const { build, agent } = entry.provenance;
  return { kind, key: writtenKeyOf(entry.at.key), entry: entry.at.key, scope: entry.at.owner.scope, build, agent, trees };
}

/** The directories of an entry, as far as they are the cache's; undefined where the entry is none that we wrote. */
function treesOf(entry: Entry, { paths }: DependencyCache): readonly DirectoryOutput[] | undefined {
  try {
    return decodeStepResult(entry.value).outputs.flatMap((output) =>
      output.kind === 'directory' && paths.includes(output.path) ? [output] : [],
    );
  } catch (error) {
    if (isFault(error, 'BAD_REQUEST')) return undefined;
    throw error;
  }
}

function scopesText({ scope }: DependencyPlace): string {
  return scopeChain(scope).join(', ');
}
