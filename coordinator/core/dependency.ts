import { formatSizeBytes } from '../../base/quantity.ts';
import type { AttemptReport, DependencyReport, DirectoryOutput, Restore } from '../../cache/action/result.ts';
import type { DependencyCache } from './spec.ts';

/** What was found of a step's dependency cache when its action was worked out; what is placed before its command. */
export type DependencyLookup = {
  readonly name: string;
  readonly found:
    | {
        /** Whether the entry is of the key itself or of one that begins as a fallback says. */
        readonly kind: 'exact' | 'fallback';
        /** The entry's key as people wrote it, and as it is stored. */
        readonly key: string;
        readonly entry: string;
        readonly scope: string;
        /** Who made it: what is made of it came of that. */
        readonly build: string;
        readonly agent: string;
        readonly trees: readonly DirectoryOutput[];
      }
    | { readonly kind: 'nothing' }
    /** It could not be asked; `warning` says why. */
    | { readonly kind: 'unknown' }
    /** The policy takes nothing up. */
    | { readonly kind: 'unwanted' };
  /** Why there is no entry of the key itself: causes and changed parts, for people. */
  readonly why: readonly string[];
  readonly warning?: string;
};

/** What became of what a step left in the paths of a dependency cache. */
export type DependencyKept = {
  readonly name: string;
  /** `pending` is stored, and its entry is being written. */
  readonly save: { readonly kind: 'none' | KeptOutcome } | { readonly kind: 'pending'; readonly trees: readonly DirectoryOutput[] };
  readonly warnings: readonly string[];
  /** How what was found came to its place; absent where that is not known. */
  readonly restores?: readonly Restore[];
};

/**
 * What writing an entry came to: it is there, an equal one was, one with other content was (and stays), or it could not be
 * written.
 */
export type KeptOutcome = 'kept' | 'same' | 'differs' | 'dropped';

/** What is to be written as an entry. */
export type DependencySave = { readonly name: string; readonly trees: readonly DirectoryOutput[] };

const NOT_KEPT = 'so the next run begins with what there was before';

/** What an attempt's report says of the step's dependency caches; undefined where it has none. */
export function keptOf(caches: readonly DependencyCache[] | undefined, report: AttemptReport): readonly DependencyKept[] | undefined {
  if (caches === undefined) return undefined;
  const said = new Map(report.dependencies?.map((one) => [one.name, one]));
  return caches.map((cache) => {
    const one = said.get(cache.name);
    const restores = one?.restores?.filter(({ path }) => cache.paths.includes(path)) ?? [];
    return { ...keptBy(cache, one, report), ...(restores.length === 0 ? {} : { restores }) };
  });
}

function keptBy(cache: DependencyCache, said: DependencyReport | undefined, report: AttemptReport): DependencyKept {
  const { name } = cache;
  if (said === undefined) {
    if (report.kind === 'failed') return { name, save: { kind: 'none' }, warnings: [] };
    const warning = `its agent is too old for dependency caches: nothing was placed, and nothing is kept`;
    return { name, save: { kind: cache.pushes ? 'dropped' : 'none' }, warnings: [warning] };
  }
  const warnings =
    said.placeProblem === undefined ? [] : [`what was found could not be placed, so the step began without: ${said.placeProblem}`];
  if (report.kind === 'failed' || !cache.pushes || said.save.kind === 'none') return { name, save: { kind: 'none' }, warnings };
  if (said.save.kind === 'stored') {
    const trees = said.save.trees.filter(({ path }) => cache.paths.includes(path));
    if (trees.length > 0) return { name, save: { kind: 'pending', trees }, warnings };
    return { name, save: { kind: 'none' }, warnings: [...warnings, 'the step left none of its directories: nothing is kept'] };
  }
  return {
    name,
    save: { kind: 'dropped' },
    warnings: [...warnings, `what the step left could not be stored, ${NOT_KEPT}: ${said.save.problem}`],
  };
}

/** What is stored and has no entry yet. */
export function savesOf(kept: readonly DependencyKept[] | undefined): readonly DependencySave[] {
  return (kept ?? []).flatMap(({ name, save }) => (save.kind === 'pending' ? [{ name, trees: save.trees }] : []));
}

/** How writing entries ended; what was not pending stays as it is. */
export type DependencyResult = { readonly name: string; readonly outcome: KeptOutcome; readonly warning?: string };

export function withResults(kept: readonly DependencyKept[], results: readonly DependencyResult[]): readonly DependencyKept[] {
  return kept.map((one) => {
    const result = results.find(({ name }) => name === one.name);
    if (result === undefined || one.save.kind !== 'pending') return one;
    return {
      ...one,
      save: { kind: result.outcome },
      warnings: result.warning === undefined ? one.warnings : [...one.warnings, result.warning],
    };
  });
}

const SAVE_TEXT = {
  pending: 'what the step left is stored; its entry is being written',
  kept: 'what the step left is kept under the key',
  same: 'an equal entry of the key was there before this step ended',
  differs: 'an entry of the key with other content was there before this step ended, and stays',
  dropped: 'what the step left was not kept',
} as const;

/** A step's dependency caches for people, a line for each thing that is known. */
export function dependencyLines(
  caches: readonly DependencyCache[] | undefined,
  lookups: readonly DependencyLookup[] | undefined,
  kept: readonly DependencyKept[] | undefined,
): readonly string[] {
  return (caches ?? []).flatMap((cache) => {
    const lookup = lookups?.find(({ name }) => name === cache.name);
    const save = kept?.find(({ name }) => name === cache.name);
    const lines = [
      ...(lookup === undefined ? [] : [foundText(cache, lookup), ...lookup.why]),
      ...(lookup?.warning === undefined ? [] : [`warning: ${lookup.warning}`]),
      ...(save?.restores ?? []).map(
        ({ path, rung, bytesIn }) =>
          `"${path}" came to its place by ${rung}: ${bytesIn === 0 ? 'nothing' : `${formatSizeBytes(bytesIn)} bytes`} fetched`,
      ),
      ...(save === undefined || save.save.kind === 'none' ? [] : [SAVE_TEXT[save.save.kind]]),
      ...(save?.warnings ?? []).map((warning) => `warning: ${warning}`),
    ];
    return lines.map((line) => `${cache.name}: ${line}`);
  });
}

function foundText({ key }: DependencyCache, { found }: DependencyLookup): string {
  switch (found.kind) {
    case 'exact':
      return `found under its key ${key} in the scope ${found.scope}`;
    case 'fallback':
      return `not found under its key ${key}; the newest that a fallback allows is ${found.key} in the scope ${found.scope}`;
    case 'nothing':
      return `not found under its key ${key}, nor by a fallback`;
    case 'unknown':
      return `not looked up under its key ${key}`;
    case 'unwanted':
      return `begins empty, as its policy says; its key is ${key}`;
  }
}
