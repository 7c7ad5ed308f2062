import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { joinPath } from '../../cache/tree/path.ts';
import type { Bind, Overlays } from '../sandbox/sandbox.ts';
import type { Rung } from '../tier/rung.ts';
import type { LocalTier } from '../tier/tier.ts';
import { Filling } from './filling.ts';
import { removeTree } from './remove.ts';
import { saveDirectory, type Save, type SaveOptions, type SavedTree } from './saved.ts';
import { Shapes } from './shape.ts';
import type { WorkspaceView } from './view.ts';

/** A tree that a step gets beside its inputs and may change: a dependency cache, a layer. */
export type PlacedTree = {
  /** Relative to the input root, at most a directory there in the inputs, whose place the tree takes. */
  readonly path: string;
  /** Undefined where nothing is to be put there, but what the step makes there is to be saved. */
  readonly root: Digest | undefined;
  /** What the store holds of it, where that is known: then saving it unchanged makes nothing anew. */
  readonly stored?: StoredAs | undefined;
  /** Globs of what is wanted of it, as `pruneTree` takes them; such a place cannot be saved. @default all of it */
  readonly only?: readonly string[] | undefined;
};

/** The Tree message of a whole tree, and the bytes of all its files. */
export type StoredAs = { readonly tree: Digest; readonly bytes: number };

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

/** How a tree came to its place, relative to the input root, and the bytes that had to be fetched for it. */
export type Restore = { readonly path: string; readonly rung: Rung; readonly bytesIn: number };

/** A directory tree of one attempt's own. Disposing of it removes it. */
export interface Workspace extends AsyncDisposable {
  /** The input root on the host. Without what `binds` bring. */
  readonly root: string;
  /** Large directories that are not copied: to be passed on to the sandbox. What the step changes in them is found in `root`. */
  readonly binds: readonly Bind[];
  /** Bytes that had to be fetched. */
  readonly bytesIn: number;
  /** How trees came to their places: of bound inputs and of what was placed. */
  readonly restores: readonly Restore[];
  /** For `collectOutputs`, once nothing of the step runs any more. */
  readonly view: WorkspaceView;
  /**
   * Stores the directory at `path`, relative to the input root, as it is now, whether it was placed or the step made it; undefined where
   * there is nothing. Reads only what the step may have changed. Nothing of the step may run any more.
   * @throws {Fault} BAD_REQUEST or PATH_ESCAPES for what cannot be part of a tree; whatever the store throws.
   */
  save(path: string, signal: AbortSignal, options?: SaveOptions): Promise<SavedTree | undefined>;
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
  /** Where the sandbox takes binds, and keeps steps from writing into what is bound (`Sandbox.overlays`). */
  readonly overlays: Overlays | undefined;
  readonly env: Env;
};

export async function openWorkspaces({ dir, tier, overlays, env }: WorkspacesOptions): Promise<Workspaces> {
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
      const filling = new Filling({ root: path.join(home, 'root'), tier, view, overlays, env }, undo);
      await filling.fill(request, shapes, signal);
      const saves = new Map<string, Save>();
      const after = async () => {
        for (const save of overlays === undefined ? [] : saves.values()) await save.giveToTier(view);
        await filling.park(saves, new AbortController().signal);
      };
      const owned = undo.move();
      // Before the leases end and the directory goes.
      owned.defer(() => after().catch((error: unknown) => env.log.warn('layer-not-kept', { path: home, error })));
      const found = filling.found();
      return {
        root: found.root,
        binds: filling.binds,
        bytesIn: view.bytesIn,
        restores: filling.restores,
        view: found,
        async save(at, stop, options = {}) {
          const directory = joinPath('', at);
          if ((request.placed ?? []).some((one) => one.only !== undefined && joinPath('', one.path) === directory)) {
            throw new Fault('BAD_REQUEST', `"${at}" cannot be saved: only a part of its tree was put there`, { field: 'only' });
          }
          const save = await saveDirectory(found, directory, store, options, stop);
          if (save !== undefined) saves.set(directory, save);
          return save?.saved;
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}
