import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { Digest } from '../../cache/digest.ts';
import type { Base } from '../../cache/layer/save.ts';
import { StatTable, statTree } from '../../cache/layer/stat-table.ts';
import { DirectoryReader } from '../../cache/tree/directory-reader.ts';
import { materialise, type FileSource } from '../../cache/tree/materialise.ts';
import { joinPath } from '../../cache/tree/path.ts';
import { pruneTree } from '../../cache/tree/prune.ts';
import type { Bind, Overlays } from '../sandbox/sandbox.ts';
import type { Rung } from '../tier/rung.ts';
import type { LocalTier, TierView } from '../tier/tier.ts';
import { planBinds, type BindPlan } from './bind-plan.ts';
import { checkPlaced, makeDirectory } from './places.ts';
import { removeTree } from './remove.ts';
import type { Save } from './saved.ts';
import type { Shapes } from './shape.ts';
import type { WorkspaceView } from './view.ts';
import type { PlacedTree, Restore, StoredAs, WorkspaceRequest } from './workspace.ts';

/** Directories of inputs that are outputs too are worth a table of their files from this size on. */
const TABLED_FILES_MIN = 64;

export type FillingPlace = {
  /** Does not exist yet. */
  readonly root: string;
  readonly tier: LocalTier;
  readonly view: TierView;
  readonly overlays: Overlays | undefined;
  readonly env: Env;
};

/** Puts the inputs and placed trees of one attempt where they belong, and knows afterwards what it put there. */
export class Filling {
  readonly binds: Bind[] = [];
  readonly restores: Restore[] = [];
  readonly #place: FillingPlace;
  readonly #leases: AsyncDisposableStack;
  readonly #bases = new Map<string, Base>();
  readonly #tables: StatTable[] = [];
  readonly #stored = new Map<string, StoredAs>();
  /** Of placed trees that are copies. */
  readonly #copies = new Map<string, StatTable>();

  /** Trees of the tier that are bound stay leased until `leases` is disposed of. */
  constructor(place: FillingPlace, leases: AsyncDisposableStack) {
    this.#place = place;
    this.#leases = leases;
  }

  /** What is there, for whoever looks when the step has ended. */
  found(): WorkspaceView {
    const { root, view, overlays } = this.#place;
    return {
      root,
      bases: this.#bases,
      places: new Map([...this.#bases.keys()].map((at) => [at, this.binds.find((bind) => bind.to === at)?.from ?? path.join(root, at)])),
      stored: this.#stored,
      readDirectory: view.readDirectory,
      present: async (paths, signal) => {
        if (overlays === undefined) throw new Error('there are no overlays');
        return overlays.present(root, this.binds, paths, signal);
      },
    };
  }

  /** @throws {Fault} as `Workspaces.prepare`. */
  async fill(request: WorkspaceRequest, shapes: Shapes, signal: AbortSignal): Promise<void> {
    const { root, view, env } = this.#place;
    const placed = checkPlaced(request.placed ?? []);
    const outputs = request.outputs.map((output) => joinPath(request.workingDirectory, output));
    const workingDirectory = joinPath('', request.workingDirectory);
    const plan = await this.#plan(request.inputRoot, [...outputs, ...unplaced(placed)], workingDirectory, placed, shapes, signal);
    await materialise(plan?.root ?? request.inputRoot, root, plan === undefined ? view : withMade(view, plan), signal);
    for (const tree of plan?.bound ?? []) await this.#bind(tree.path, tree.root, undefined, signal);
    for (const { path: at, root: whole, only, stored } of placed) {
      if (whole === undefined) continue;
      await this.#put(at, await this.#part(whole, only, signal), only === undefined ? stored?.tree : undefined, signal);
      if (stored !== undefined && only === undefined) this.#stored.set(at, stored);
    }
    makeDirectory(root, workingDirectory, 'workingDirectory');
    for (const output of outputs) makeDirectory(root, path.posix.dirname(output), 'outputs');
    for (const tree of placed) makeDirectory(root, path.posix.dirname(tree.path), 'placed');
    for (const output of new Set(outputs)) await this.#table(plan?.root ?? request.inputRoot, output, plan, signal);
    for (const table of this.#tables) table.seal(env.clock.now());
  }

  /** What of the inputs is bound; undefined where they are all copied and nothing has to make room. */
  async #plan(
    inputRoot: Digest,
    written: readonly string[],
    workingDirectory: string,
    placed: readonly PlacedTree[],
    shapes: Shapes,
    signal: AbortSignal,
  ): Promise<BindPlan | undefined> {
    const replaced = placed.filter((tree) => tree.root !== undefined).map((tree) => tree.path);
    if (this.#place.overlays === undefined && replaced.length === 0) return undefined;
    const shapeOf = await shapes.below(inputRoot, this.#place.view.readDirectory, signal);
    const plan = planBinds(inputRoot, shapeOf, { written, workingDirectory, replaced, canBind: this.#place.overlays !== undefined });
    return plan.bound.length === 0 && replaced.length === 0 ? undefined : plan;
  }

  /** The root of what is wanted of a tree. */
  async #part(root: Digest, only: readonly string[] | undefined, signal: AbortSignal): Promise<Digest> {
    if (only === undefined) return root;
    const { view } = this.#place;
    const pruned = await pruneTree(root, only, new DirectoryReader(view.readDirectory, view.bringDirectories), signal);
    for (const [digest, bytes] of pruned.made) view.hold(digest, bytes);
    return pruned.root;
  }

  /** `before` is what the view had fetched until then. */
  #restored(at: string, rung: Rung, before: number): void {
    const bytesIn = this.#place.view.bytesIn - before;
    this.#place.tier.restores.add(rung, bytesIn);
    this.restores.push({ path: at, rung, bytesIn });
  }

  /** Puts a tree where at most an empty directory is; `message` is the Tree that holds its directories, if it is known. */
  async #put(at: string, root: Digest, message: Digest | undefined, signal: AbortSignal): Promise<void> {
    const { root: top, view, overlays } = this.#place;
    makeDirectory(top, path.posix.dirname(at), 'placed');
    const absolute = path.join(top, at);
    const there = fs.lstatSync(absolute, { throwIfNoEntry: false });
    if (there !== undefined && !there.isDirectory()) {
      throw new Fault('BAD_REQUEST', `placed: "${at}" is a file or link in the inputs; a tree cannot take its place`, { field: 'placed' });
    }
    if (overlays !== undefined) return this.#bind(at, root, message, signal);
    if (there !== undefined) await removeTree(absolute);
    using _slot = await view.slot(signal);
    const before = view.bytesIn;
    const taken = await view.take(root, at, absolute, signal);
    const table = taken?.table ?? (await this.#copy(at, root, message, signal));
    if (taken !== undefined) this.#restored(at, taken.rung, before);
    this.#tables.push(table);
    this.#bases.set(at, { kind: 'stats', root, table });
    this.#copies.set(at, table);
  }

  async #copy(at: string, root: Digest, message: Digest | undefined, signal: AbortSignal): Promise<StatTable> {
    const { view } = this.#place;
    const absolute = path.join(this.#place.root, at);
    const before = view.bytesIn;
    await view.bringTree(root, message, signal);
    await materialise(root, absolute, view, signal);
    this.#restored(at, view.bytesIn > before ? 'fetch' : 'copy', before);
    return statTree(absolute, root, new DirectoryReader(view.readDirectory, view.bringDirectories), signal);
  }

  /**
   * Gives the tier the copies that the step had, once it is done with them: another step at the same path may have use of them.
   * `saves` are those of which is known what they hold now.
   */
  async park(saves: ReadonlyMap<string, Save>, signal: AbortSignal): Promise<void> {
    const { root: top, view } = this.#place;
    if (this.#place.overlays !== undefined) return;
    for (const at of new Set([...this.#copies.keys(), ...saves.keys()])) {
      const save = saves.get(at);
      if (save?.isPlain === false) continue;
      const now = save?.saved;
      const base = this.#bases.get(at);
      const table = this.#copies.get(at) ?? new StatTable();
      const root = now?.root ?? base?.root;
      if (root === undefined || !isPlainDirectory(top, at)) continue;
      await view.park(path.join(top, at), at, { root, table }, now !== undefined, signal);
    }
  }

  async #bind(at: string, root: Digest, message: Digest | undefined, signal: AbortSignal): Promise<void> {
    const { root: top, view } = this.#place;
    const before = view.bytesIn;
    const lease = this.#leases.use(await view.tree(root, at, signal, message));
    this.#restored(at, lease.rung, before);
    fs.mkdirSync(path.join(top, at), { recursive: true });
    this.binds.push({ from: lease.path, to: at });
    this.#bases.set(at, { kind: 'overlay', root });
  }

  /** Remembers what the files of inputs are like that are in an output's place, so that only changed ones are read afterwards. */
  async #table(inputRoot: Digest, output: string, plan: BindPlan | undefined, signal: AbortSignal): Promise<void> {
    const { root, view } = this.#place;
    if ([...this.#bases.keys()].some((base) => isWithin(base, output) || isWithin(output, base))) return;
    const reader = new DirectoryReader(async (digest, stop) => plan?.made.get(digest) ?? view.readDirectory(digest, stop));
    let digest = inputRoot;
    for (const name of output.split('/').filter((part) => part !== '')) {
      const child = (await reader.one(digest, signal)).directories.find((directory) => directory.name === name);
      if (child === undefined) return;
      digest = child.digest;
    }
    const table = await statTree(path.join(root, output), digest, reader, signal);
    if (table.fileCount < TABLED_FILES_MIN) return;
    this.#tables.push(table);
    this.#bases.set(output, { kind: 'stats', root: digest, table });
  }
}

/** Paths at which only something may be found afterwards. */
function unplaced(placed: readonly PlacedTree[]): readonly string[] {
  return placed.filter((tree) => tree.root === undefined).map((tree) => tree.path);
}

/** Whether the directory is reached without a link: only then it is the workspace's own. */
function isPlainDirectory(top: string, at: string): boolean {
  let absolute = top;
  for (const name of at.split('/')) {
    absolute = path.join(absolute, name);
    if (fs.lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  }
  return true;
}

function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

/** The view, which also knows the directories that exist in the plan only. */
function withMade(view: TierView, plan: BindPlan): FileSource {
  return {
    readDirectory: async (digest, signal) => plan.made.get(digest) ?? view.readDirectory(digest, signal),
    placeFile: (file, signal) => view.placeFile(file, signal),
    placeFiles: view.placeFiles,
    bringDirectories: (digests, signal) =>
      view.bringDirectories?.(
        digests.filter((digest) => !plan.made.has(digest)),
        signal,
      ) ?? Promise.resolve(),
  };
}
