import { reasonOf } from '../../base/thrown.ts';
import type { DependencyReport, DirectoryOutput, Restore } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { joinPath } from '../../cache/tree/path.ts';
import type { Logger } from '../../base/log.ts';
import type { Offer, OfferedDependency } from '../session/message.ts';
import type { PlacedTree, Workspace, WorkspaceRequest, Workspaces } from '../workspace/workspace.ts';

/** Longest time that an attempt is held up by storing what it leaves for later runs. */
const SAVE_MS = 10 * 60_000;

/** What became of what was to be placed of each dependency cache, by its name. */
export type Placed = ReadonlyMap<string, Pick<DependencyReport, 'placeProblem' | 'restores'>>;

export type Prepared = { readonly workspace: Workspace; readonly placed: Placed };

/**
 * Makes the workspace ready with the step's dependency caches in their places, or without any of them where that cannot be done.
 * @throws {Fault} as `Workspaces.prepare`, where it is not their fault.
 */
export async function prepareWorkspace(
  workspaces: Workspaces,
  offer: Offer,
  store: BlobStore,
  log: Logger,
  signal: AbortSignal,
): Promise<Prepared> {
  const { inputRoot, instanceName: scope, workingDirectory, outputs, dependencies } = offer;
  const request: WorkspaceRequest = { inputRoot, scope, workingDirectory, outputs };
  const names = dependencies.filter((one) => one.placed.length > 0).map(({ name }) => name);
  try {
    const placed = dependencies.flatMap((one) => placesOf(one, workingDirectory, true));
    const workspace = await workspaces.prepare({ ...request, placed }, store, signal);
    const found = dependencies.map((one) => [one.name, restoresOf(one, offer, workspace)] as const);
    return {
      workspace,
      placed: new Map(found.filter(([, restores]) => restores.length > 0).map(([name, restores]) => [name, { restores }])),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (names.length === 0) throw error;
    // Where this fails too, it was not for the dependency caches.
    const placed = dependencies.flatMap((one) => placesOf(one, workingDirectory, false));
    const workspace = await workspaces.prepare({ ...request, placed }, store, signal);
    log.warn('dependencies-not-placed', { token: offer.token, names, error });
    return { workspace, placed: new Map(names.map((name) => [name, { placeProblem: reasonOf(error) }])) };
  }
}

/** The paths that get a tree, where one is wanted there, and those that are saved whatever the step makes of them. */
function placesOf({ paths, placed, save, only }: OfferedDependency, workingDirectory: string, filled: boolean): readonly PlacedTree[] {
  return paths.flatMap((path) => {
    const tree = filled ? placed.find((one) => one.path === path) : undefined;
    return tree === undefined && !save
      ? []
      : [{ path: joinPath(workingDirectory, path), root: tree?.root, stored: tree, only: only.length === 0 ? undefined : only }];
  });
}

/** How the trees of a dependency cache came to their places, by its own paths. */
function restoresOf({ paths }: OfferedDependency, { workingDirectory }: Offer, { restores }: Workspace): readonly Restore[] {
  return paths.flatMap((path) => {
    const at = joinPath(workingDirectory, path);
    return restores.flatMap((one) => (one.path === at ? [{ ...one, path }] : []));
  });
}

/** What an attempt has to say of dependency caches when its command has not succeeded: nothing is kept. */
export function unsaved(offer: Offer, placed: Placed): readonly DependencyReport[] {
  return offer.dependencies.map(({ name }) => ({ ...said(name, placed), save: { kind: 'none' } }));
}

export type SaveContext = {
  readonly offer: Offer;
  readonly workspace: Workspace;
  readonly placed: Placed;
  /** Something that may be the host's fault. */
  readonly onTrouble: (error: unknown) => void;
  readonly log: Logger;
};

/**
 * Stores what a command that succeeded left in the paths of its dependency caches, where that is wanted and was not there before under
 * the very key. Never rejects: what cannot be stored is said to be dropped.
 */
export async function saveDependencies(
  context: SaveContext,
  signal: AbortSignal,
): Promise<{ readonly reports: readonly DependencyReport[]; readonly sentBytes: number }> {
  const { offer, placed } = context;
  const either = AbortSignal.any([signal, AbortSignal.timeout(SAVE_MS)]);
  const reports: DependencyReport[] = [];
  let sentBytes = 0;
  for (const dependency of offer.dependencies) {
    const { name, save, exact } = dependency;
    if (!save || (exact && placed.get(name)?.placeProblem === undefined)) {
      reports.push({ ...said(name, placed), save: { kind: 'none' } });
      continue;
    }
    const saved = await saveOne(context, dependency, either);
    sentBytes += saved.sentBytes;
    reports.push({ ...said(name, placed), save: saved.save });
  }
  return { reports, sentBytes };
}

async function saveOne(
  { offer, workspace, onTrouble, log }: SaveContext,
  { name, paths, keepModes, keepMtimes }: OfferedDependency,
  signal: AbortSignal,
): Promise<{ readonly save: DependencyReport['save']; readonly sentBytes: number }> {
  const options = { modes: keepModes ? 'full' : 'executable', mtimes: keepMtimes ? 'preserve' : 'fixed' } as const;
  const trees: DirectoryOutput[] = [];
  let sentBytes = 0;
  try {
    for (const path of paths) {
      const saved = await workspace.save(joinPath(offer.workingDirectory, path), signal, options);
      if (saved === undefined) continue;
      trees.push({ kind: 'directory', path, tree: saved.tree, root: saved.root, bytes: saved.bytes });
      sentBytes += saved.sentBytes;
    }
    return { save: { kind: 'stored', trees }, sentBytes };
  } catch (error) {
    onTrouble(error);
    log.warn('dependency-not-saved', { token: offer.token, name, error });
    return { save: { kind: 'dropped', problem: reasonOf(error) }, sentBytes };
  }
}

function said(name: string, placed: Placed): Omit<DependencyReport, 'save'> {
  return { name, ...placed.get(name) };
}
