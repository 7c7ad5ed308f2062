import type { OfferedDependency } from '../../agent/session/message.ts';
import type { Zone } from '../../base/zone.ts';
import type { Prng } from '../../base/prng.ts';
import type { DependencyReport, DirectoryOutput } from '../../cache/action/result.ts';
import { digestOf, EMPTY_DIGEST } from '../../cache/digest.ts';
import type { DependencyLookup, DependencyResult, DependencySave, KeptOutcome } from '../../coordinator/core/dependency.ts';
import type { DependencyCache, StepSpec } from '../../coordinator/core/spec.ts';
import { entryKeyOf } from '../../coordinator/shell/dependency-key.ts';

type Trees = readonly DirectoryOutput[];

/** Entries of dependency caches, which outlive coordinators; asking and writing fail now and then. */
export class SimDependencies {
  readonly #prng: Prng;
  readonly #entries = new Map<string, Trees>();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  delayMs(): number {
    return this.#prng.below(2_000);
  }

  lookUp({ dependencyCaches, zone }: StepSpec, scope: string): { readonly dependencies?: readonly DependencyLookup[] } {
    return dependencyCaches === undefined ? {} : { dependencies: dependencyCaches.map((cache) => this.#lookUpOne(cache, zone, scope)) };
  }

  #lookUpOne(cache: DependencyCache, zone: Zone, scope: string): DependencyLookup {
    const { name, key } = cache;
    if (this.#prng.below(10) === 0) return { name, found: { kind: 'unknown' }, why: [], warning: 'drawn to be down' };
    const trees = this.#entries.get(`${scope} ${entryKeyOf(cache, zone)}`);
    if (trees === undefined) return { name, found: { kind: 'nothing' }, why: ['nothing yet'] };
    return { name, found: { kind: 'exact', key, entry: entryKeyOf(cache, zone), scope, build: '', agent: '', trees }, why: [] };
  }

  offered({ dependencyCaches }: StepSpec, lookups: readonly DependencyLookup[]): readonly OfferedDependency[] {
    return (dependencyCaches ?? []).map(({ name, paths, pushes }) => {
      const found = lookups.find((lookup) => lookup.name === name)?.found;
      const placed = found?.kind === 'exact' ? found.trees : [];
      const how = { only: [], keepModes: false, keepMtimes: false };
      return { name, paths, placed, save: pushes, exact: found?.kind === 'exact', ...how };
    });
  }

  /** The first write wins. */
  keep({ dependencyCaches, zone }: StepSpec, scope: string, saves: readonly DependencySave[]): readonly DependencyResult[] {
    return saves.map(({ name, trees }) => {
      const cache = dependencyCaches?.find((one) => one.name === name);
      const outcome: KeptOutcome =
        cache === undefined || this.#prng.below(10) === 0 ? 'dropped' : this.#put(`${scope} ${entryKeyOf(cache, zone)}`, trees);
      return { name, outcome };
    });
  }

  #put(at: string, trees: Trees): KeptOutcome {
    const there = this.#entries.get(at);
    if (there !== undefined) return there[0]?.root === trees[0]?.root ? 'same' : 'differs';
    this.#entries.set(at, trees);
    return 'kept';
  }
}

/** What an agent reports of them: each run leaves something of its own. */
export function reportedOf(offered: readonly OfferedDependency[], succeeded: boolean, token: string): readonly DependencyReport[] {
  return offered.map(({ name, paths, save, exact }) => {
    if (!succeeded || !save || exact) return { name, save: { kind: 'none' } };
    if (token.endsWith('3')) return { name, save: { kind: 'dropped', problem: 'drawn to be full' } };
    const root = digestOf(Buffer.from(token));
    return {
      name,
      save: { kind: 'stored', trees: paths.map((path) => ({ kind: 'directory', path, tree: EMPTY_DIGEST, root, bytes: 1 })) },
    };
  });
}

/** A dependency cache for one step in four, without a draw: the seeds' other choices stay what they are. */
export function dependencyCachesOf(build: number, index: number): Pick<StepSpec, 'dependencyCaches'> {
  if ((build + index) % 4 !== 0) return {};
  const key = String(index % 3);
  return { dependencyCaches: [{ name: 'deps', paths: ['deps'], key, parts: [], fallback: [], pulls: true, pushes: true }] };
}
