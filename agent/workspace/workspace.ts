import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { materialise, type FileSource } from '../../cache/tree/materialise.ts';
import { joinPath } from '../../cache/tree/path.ts';
import type { Bind } from '../sandbox/sandbox.ts';
import type { LocalTier, TierView } from '../tier/tier.ts';
import { planBinds, type BindPlan } from './bind-plan.ts';
import { removeTree } from './remove.ts';
import { saveDirectory, type SavedTree } from './saved.ts';
import { Shapes } from './shape.ts';

/** A tree that a step gets beside its inputs and may change: a dependency cache, a layer. */
export type PlacedTree = {
  /** Relative to the input root, at most a directory there in the inputs, whose place the tree takes. */
  readonly path: string;
  readonly root: Digest;
};

export type WorkspaceRequest = {
  readonly inputRoot: Digest;
  /** The partition of the local tier that the attempt may share: one for each project and cache scope. */
  readonly scope: string;
  /** Relative to the input root; made if the inputs have no such directory. */
  readonly workingDirectory: string;
  /** Relative to the working directory; their parent directories are made. */
  readonly outputs: readonly string[];
  /** None at or below the path of another. Each step has its own copy. @default none */
  readonly placed?: readonly PlacedTree[] | undefined;
};

/** A directory tree of one attempt's own. Disposing of it removes it. */
export interface Workspace extends AsyncDisposable {
  /** The input root on the host. Without what `binds` bring. */
  readonly root: string;
  /** Large input directories that are not copied: to be passed on to the sandbox. */
  readonly binds: readonly Bind[];
  /** Bytes that had to be fetched. */
  readonly bytesIn: number;
  /**
   * Stores the directory at `path`, relative to the input root, as it is now, whether it was placed or the step made it; undefined where
   * there is nothing. Nothing of the step may run any more.
   * @throws {Fault} BAD_REQUEST or PATH_ESCAPES for what cannot be part of a tree; whatever the store throws.
   */
  save(path: string, signal: AbortSignal): Promise<SavedTree | undefined>;
}

export interface Workspaces {
  /**
   * Makes the inputs ready, through the local tier.
   * @throws {Fault} BAD_REQUEST or PATH_ESCAPES for a tree or path that cannot be; STORE_FULL where the disk is full;
   * BLOB_UNKNOWN and whatever the store throws.
   */
  prepare(request: WorkspaceRequest, store: BlobStore, signal: AbortSignal): Promise<Workspace>;
}

export type WorkspacesOptions = {
  /** For workspaces only: what is there when it is opened was left behind and is removed. */
  readonly dir: string;
  readonly tier: LocalTier;
  /** Whether the sandbox takes binds, and keeps steps from writing into what is bound (`Sandbox.canBind`). */
  readonly canBind: boolean;
  readonly env: Env;
};

export async function openWorkspaces({ dir, tier, canBind, env }: WorkspacesOptions): Promise<Workspaces> {
  await removeTree(dir);
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const shapes = new Shapes();
  return {
    async prepare(request, store, signal) {
      const view = tier.view(request.scope, store);
      const home = path.join(dir, crypto.randomUUID());
      fs.mkdirSync(home, { mode: 0o700 });
      await using undo = new AsyncDisposableStack();
      undo.defer(() => removeTree(home).catch((error: unknown) => env.log.warn('workspace-left-behind', { path: home, error })));
      const placed = checkPlaced(request.placed ?? []);
      const written = [...request.outputs.map((output) => joinPath(request.workingDirectory, output)), ...placed.map((tree) => tree.path)];
      const plan = canBind ? await planOf(request, written, shapes, view, signal) : undefined;
      const binds = plan === undefined ? [] : await leaseTrees(plan, view, undo, signal);
      const root = path.join(home, 'root');
      await materialise(plan?.root ?? request.inputRoot, root, plan === undefined ? view : withMade(view, plan), signal);
      for (const tree of placed) {
        makeDirectory(root, path.posix.dirname(tree.path), 'placed');
        await removeTree(path.join(root, tree.path));
        await materialise(tree.root, path.join(root, tree.path), view, signal);
      }
      makeDirectory(root, joinPath('', request.workingDirectory), 'workingDirectory');
      for (const output of written) makeDirectory(root, path.posix.dirname(output), 'outputs');
      const owned = undo.move();
      return {
        root,
        binds,
        bytesIn: view.bytesIn,
        save: (at, stop) => saveDirectory(root, joinPath('', at), store, stop),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

async function planOf(
  request: WorkspaceRequest,
  written: readonly string[],
  shapes: Shapes,
  view: TierView,
  signal: AbortSignal,
): Promise<BindPlan | undefined> {
  const shapeOf = await shapes.below(request.inputRoot, view.readDirectory, signal);
  const plan = planBinds(request.inputRoot, shapeOf, written, joinPath('', request.workingDirectory));
  return plan.bound.length === 0 ? undefined : plan;
}

/** The bound trees, kept in the tier until the workspace is gone. */
async function leaseTrees(plan: BindPlan, view: TierView, undo: AsyncDisposableStack, signal: AbortSignal): Promise<readonly Bind[]> {
  const binds: Bind[] = [];
  for (const tree of plan.bound) binds.push({ from: undo.use(await view.tree(tree.root, signal)).path, to: tree.path });
  return binds;
}

/** The view, which also knows the directories that exist in the plan only. */
function withMade(view: TierView, plan: BindPlan): FileSource {
  return {
    readDirectory: async (digest, signal) => plan.made.get(digest) ?? view.readDirectory(digest, signal),
    placeFile: (file, signal) => view.placeFile(file, signal),
  };
}

/** The trees with their paths in the shortest form. @throws {Fault} BAD_REQUEST, PATH_ESCAPES */
function checkPlaced(trees: readonly PlacedTree[]): readonly PlacedTree[] {
  const placed = trees.map((tree) => ({ ...tree, path: joinPath('', tree.path) }));
  for (const [index, tree] of placed.entries()) {
    if (tree.path === '') throw new Fault('BAD_REQUEST', 'placed: a tree cannot take the place of the input root', { field: 'placed' });
    const other = placed.find((one, at) => at !== index && `${tree.path}/`.startsWith(`${one.path}/`));
    if (other === undefined) continue;
    throw new Fault('BAD_REQUEST', `placed: "${tree.path}" lies in "${other.path}"; two trees cannot share a place`, { field: 'placed' });
  }
  return placed;
}

/** Makes the directory and those above it. The inputs may hold links: one that leads out of the root is refused. */
function makeDirectory(root: string, relative: string, field: string): void {
  let at = root;
  for (const name of relative.split('/')) {
    if (name === '' || name === '.') continue;
    at = path.join(at, name);
    const stat = fs.statSync(at, { throwIfNoEntry: false });
    if (stat === undefined && fs.lstatSync(at, { throwIfNoEntry: false }) === undefined) fs.mkdirSync(at);
    else if (stat?.isDirectory() !== true) {
      throw new Fault('BAD_REQUEST', `${field}: ${JSON.stringify(relative)} needs a directory where the inputs have something else`, {
        field,
      });
    }
    const real = fs.realpathSync(at);
    if (!isBelow(real, fs.realpathSync(root))) {
      throw new Fault('PATH_ESCAPES', `${field}: ${JSON.stringify(relative)} leads out of the input root through a link`, { field });
    }
  }
}

function isBelow(real: string, root: string): boolean {
  return real === root || real.startsWith(root + path.sep);
}
