import { scopeChain } from '../../base/caller.ts';
import { isFault } from '../../base/fault.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import { reasonOf } from '../../base/thrown.ts';
import type { Zone } from '../../base/zone.ts';
import { decodeStepResult } from '../../cache/action/action-result.ts';
import type { DirectoryOutput } from '../../cache/action/result.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import type { EntryFinder } from '../../cache/entries/finder.ts';
import type { DependencyLookup } from '../core/dependency.ts';
import type { DependencyCache } from '../core/spec.ts';
import { entryKeyOf, keyPrefixOf, partsOf, writtenKeyOf } from './dependency-key.ts';
import { changesBetween, linesOf } from './key-changes.ts';

/** Where a step's dependency caches are looked up: its build's project and scope. */
export type DependencyPlace = {
  /** Undefined where this coordinator has no store for them. */
  readonly entries: Pick<EntryFinder, 'find' | 'explain'> | undefined;
  readonly project: string;
  readonly scope: string;
  /** Of the step. */
  readonly zone: Zone;
};

/** How long a step waits for its lookups, and for what explains a miss: beginning without costs less than a store in trouble. */
export type LookupTimes = { readonly lookupMs: number; readonly explainMs: number };
const TIMES: LookupTimes = { lookupMs: 5_000, explainMs: 1_000 };

/** Looks a step's dependency caches up. Throws for `signal` only: what cannot be looked up is said to be so. */
export async function lookUpAll(
  caches: readonly DependencyCache[],
  place: DependencyPlace,
  signal: AbortSignal,
  times = TIMES,
): Promise<readonly DependencyLookup[]> {
  const timeout = AbortSignal.timeout(times.lookupMs);
  const either = AbortSignal.any([signal, timeout]);
  const late = `no answer within ${formatDurationMs(times.lookupMs)}`;
  const one = (cache: DependencyCache) =>
    lookUp(cache, place, either, times.explainMs).catch((error: unknown) =>
      failed(cache, place, timeout.aborted ? new Error(late) : error),
    );
  const lookups = await Promise.all(caches.map(one));
  signal.throwIfAborted();
  return lookups;
}

function failed({ name }: DependencyCache, { scope }: DependencyPlace, error: unknown): DependencyLookup {
  const cause = isFault(error, 'FORBIDDEN') ? `the scopes ${scopesText(scope)} may not be read` : 'the store could not be asked';
  const message = reasonOf(error);
  return { name, found: { kind: 'unknown' }, why: [], warning: `${cause}, so the step begins without: ${message}` };
}

async function lookUp(cache: DependencyCache, place: DependencyPlace, signal: AbortSignal, explainMs: number): Promise<DependencyLookup> {
  const { name } = cache;
  if (!cache.pulls) return { name, found: { kind: 'unwanted' }, why: [] };
  const { entries, project, scope, zone } = place;
  if (entries === undefined) throw new Error('this coordinator has none for dependency caches');
  const begin = keyPrefixOf(cache, zone);
  const prefixes = cache.fallback.map((prefix) => begin + prefix);
  const found = await entries.find('dependency', { project, scope }, entryKeyOf(cache, zone), prefixes, signal);
  const trees = found === undefined ? undefined : treesOf(found.entry, cache);
  if (found?.prefix === undefined && found !== undefined && trees !== undefined)
    return { name, found: foundOf('exact', found.entry, trees), why: [] };
  const miss = await whyMissed(cache, place, entries, AbortSignal.any([signal, AbortSignal.timeout(explainMs)]));
  if (found === undefined || trees === undefined) return { name, found: { kind: 'nothing' }, why: [...miss.causes, ...miss.nearest] };
  return {
    name,
    found: foundOf('fallback', found.entry, trees),
    why: [...miss.causes, ...changesBetween(found.entry.parts, partsOf(cache))],
  };
}

/** Causes beside the key, and how the key differs from the nearest entry of the same name. Never throws: it only explains. */
async function whyMissed(
  cache: DependencyCache,
  { project, scope, zone }: DependencyPlace,
  entries: Pick<EntryFinder, 'explain'>,
  signal: AbortSignal,
): Promise<{ readonly causes: readonly string[]; readonly nearest: readonly string[] }> {
  try {
    const { causes, nearest, differences } = await entries.explain(
      'dependency',
      { project, scope },
      entryKeyOf(cache, zone),
      partsOf(cache),
      signal,
    );
    if (nearest === undefined || !nearest.key.startsWith(`${cache.name}/`))
      return {
        causes,
        nearest: [`nothing is kept under the name "${cache.name}" yet in the scopes ${scopesText(scope)}, which are read here`],
      };
    return {
      causes,
      nearest: [`the nearest is ${writtenKeyOf(nearest.key)} in the scope ${nearest.owner.scope}`, ...linesOf(differences)],
    };
  } catch (error) {
    return { causes: [], nearest: [`why could not be found out: ${reasonOf(error)}`] };
  }
}

function foundOf(kind: 'exact' | 'fallback', entry: Entry, trees: readonly DirectoryOutput[]): DependencyLookup['found'] {
  const { build, agent } = entry.provenance;
  return { kind, key: writtenKeyOf(entry.at.key), entry: entry.at.key, scope: entry.at.owner.scope, build, agent, trees };
}

/** The directories of an entry, as far as they are the cache's; undefined where the entry is none that we wrote. */
function treesOf(entry: Entry, { paths }: DependencyCache): readonly DirectoryOutput[] | undefined {
  try {
    const { outputs } = decodeStepResult(entry.value);
    return outputs.flatMap((output) => (output.kind === 'directory' && paths.includes(output.path) ? [output] : []));
  } catch (error) {
    if (isFault(error, 'BAD_REQUEST')) return undefined;
    throw error;
  }
}

function scopesText(scope: string): string {
  return scopeChain(scope).join(', ');
}
