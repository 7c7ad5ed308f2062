import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../base/fault.ts';
import { Turns } from '../../base/turns.ts';
import { digestOf, sizeOf, type Digest } from '../digest.ts';
import type { DirectoryReader } from '../tree/directory-reader.ts';
import { compareNames, encodeDirectory, sortedDirectory, type Directory, type FileNode, type SymlinkNode } from '../tree/directory.ts';
import { hashFile } from '../tree/hash-file.ts';
import { linkEscapes } from '../tree/path.ts';
import { WRITABLE_MODES } from '../tree/place.ts';
import { HARD_LINK_GROUP, type NodeProperties } from '../tree/properties.ts';
import { listDirectory, special, unreadable } from '../tree/scan.ts';
import type { StatTable } from './stat-table.ts';

/** What a saved tree says of its entries beyond content and the executable bit. */
export type SaveOptions = {
  /** Permission bits, where they are not the usual ones. Never setuid, setgid and sticky. @default 'executable' */
  readonly modes?: 'executable' | 'full';
  /** @default 'fixed' */
  readonly mtimes?: 'fixed' | 'preserve';
  /** Whether files that are one file stay so. @default false */
  readonly hardLinks?: boolean;
  /** What becomes of links that lead out of the whole tree that the source stands for. @default 'keep' */
  readonly escapingLinks?: 'refuse' | 'keep';
};

/**
 * What was at a path before others could write there. `overlay`: the tree `root` lies below it, and what is found at the path is only
 * what was changed, with whiteouts for what was removed. `stats`: the tree was put there, and the table knows its files.
 */
export type Base =
  | { readonly kind: 'overlay'; readonly root: Digest }
  | { readonly kind: 'stats'; readonly root: Digest; readonly table: StatTable };

/** What is found goes here: files before the directories that hold them, directories before their parents. */
export interface TreeSink {
  file(digest: Digest, absolute: string): Promise<void>;
  directory(digest: Digest, bytes: Uint8Array): Promise<void>;
}

export type SaveSource = {
  /** Absolute. */
  readonly top: string;
  /** By path relative to `top`; '' for `top` itself. Bases do not lie in one another. */
  readonly bases: ReadonlyMap<string, Base>;
  /** Reads the directories of the bases. */
  readonly reader: DirectoryReader;
  /** Directories of overlays, relative to `top`, which do not show what lies below them: made anew where one was removed. */
  readonly opaque: ReadonlySet<string>;
};

export type SavedRoot = {
  readonly root: Digest;
  /** What had to be read, for it could have changed. */
  readonly hashedCount: number;
  readonly hashedBytes: number;
};

const ENTRIES_PER_TURN = 128;

/**
 * Finds out what tree lies at `start`, relative to the top and neither in a base nor reached through a link, reading only what
 * may have changed since the bases were put there. Unchanged directories keep
 * their digests and are neither encoded nor passed on. Nothing may write there meanwhile.
 * @throws {Fault} PATH_ESCAPES; BAD_REQUEST for what a tree cannot hold or what cannot be read; whatever the reader and the sink throw.
 */
export async function saveTree(
  source: SaveSource,
  start: string,
  sink: TreeSink,
  options: SaveOptions,
  signal: AbortSignal,
): Promise<SavedRoot> {
  const groups = options.hardLinks === true ? findGroups(path.join(source.top, start)) : new Map<string, string>();
  const saver = new TreeSaver(source, sink, options, groups, signal);
  const root = await saver.directory(start, undefined);
  return { root, hashedCount: saver.hashedCount, hashedBytes: saver.hashedBytes };
}

/** The part of a base at one directory. */
type BaseHere = { readonly base: Base; readonly digest: Digest; readonly directory: Directory; readonly at: string };

class TreeSaver {
  hashedCount = 0;
  hashedBytes = 0;
  readonly #source: SaveSource;
  readonly #sink: TreeSink;
  readonly #options: SaveOptions;
  readonly #groups: ReadonlyMap<string, string>;
  readonly #signal: AbortSignal;
  readonly #turns = new Turns(ENTRIES_PER_TURN);
  readonly #overlaid: boolean;

  constructor(source: SaveSource, sink: TreeSink, options: SaveOptions, groups: ReadonlyMap<string, string>, signal: AbortSignal) {
    this.#source = source;
    this.#sink = sink;
    this.#options = options;
    this.#groups = groups;
    this.#signal = signal;
    this.#overlaid = [...source.bases.values()].some((base) => base.kind === 'overlay');
  }

  /** The digest of the directory at `at`; `above` is what its parent's base has there. */
  async directory(at: string, above: { readonly base: Base; readonly digest: Digest; readonly at: string } | undefined): Promise<Digest> {
    this.#signal.throwIfAborted();
    const here = await this.#baseOf(at, above);
    const entries = listDirectory(path.join(this.#source.top, at), at);
    if (here?.base.kind === 'overlay' && entries.length === 0) return here.digest;
    const parts = startOf(here);
    const known = here === undefined ? new Map<string, number>() : indexOf(here.directory.files);
    for (const entry of entries) {
      await this.#turns.take();
      await this.#entry(at, entry, here, known, parts);
    }
    const own = this.#ownProperties(at);
    if (here !== undefined && own.properties === undefined && isUnchanged(here.directory, parts)) return here.digest;
    const directory: Directory = sortedDirectory({
      files: [...parts.files.values()],
      directories: [...parts.directories].map(([name, digest]) => ({ name, digest })),
      symlinks: [...parts.symlinks.values()],
      ...own,
    });
    const bytes = encodeDirectory(directory);
    const digest = digestOf(bytes);
    if (digest !== here?.digest) await this.#sink.directory(digest, bytes);
    return digest;
  }

  async #baseOf(
    at: string,
    above: { readonly base: Base; readonly digest: Digest; readonly at: string } | undefined,
  ): Promise<BaseHere | undefined> {
    const own = this.#source.bases.get(at);
    const found = own === undefined ? above : { base: own, digest: own.root, at: '' };
    if (found === undefined || (found.base.kind === 'overlay' && this.#source.opaque.has(at))) return undefined;
    return { ...found, directory: await this.#source.reader.one(found.digest, this.#signal) };
  }

  async #entry(at: string, entry: fs.Dirent, here: BaseHere | undefined, known: ReadonlyMap<string, number>, parts: Parts): Promise<void> {
    const { name } = entry;
    const path = at === '' ? name : `${at}/${name}`;
    if (entry.isDirectory()) {
      const below = here === undefined ? undefined : childOf(here, name);
      parts.take(name);
      parts.directories.set(name, await this.directory(path, below));
    } else if (entry.isFile()) {
      const node = await this.#file(path, name, here, known.get(name));
      parts.take(name);
      parts.files.set(name, node);
    } else if (entry.isSymbolicLink()) {
      parts.take(name);
      parts.symlinks.set(name, this.#link(path, name));
    } else if (this.#overlaid && entry.isCharacterDevice() && this.#isWhiteout(path)) parts.take(name);
    else throw special(path);
  }

  async #file(at: string, name: string, here: BaseHere | undefined, index: number | undefined): Promise<FileNode> {
    const absolute = path.join(this.#source.top, at);
    try {
      if (here?.base.kind === 'stats' && index !== undefined) {
        const stat = fs.lstatSync(absolute, { bigint: true });
        const node = here.directory.files[index];
        if (node !== undefined && here.base.table.isSame(here.at, index, stat)) return node;
      }
      const { digest, stat } = await hashFile(absolute, undefined, this.#signal);
      this.hashedCount += 1;
      this.hashedBytes += sizeOf(digest);
      await this.#sink.file(digest, absolute);
      const executable = (stat.mode & 0o100n) !== 0n;
      const usual = executable ? WRITABLE_MODES.executable : WRITABLE_MODES.file;
      return { name, digest, executable, ...this.#propertiesOf(stat, usual, this.#groups.get(`${stat.dev} ${stat.ino}`)) };
    } catch (error) {
      throw error instanceof Fault || this.#signal.aborted || isStoreError(error) ? error : unreadable(at, error);
    }
  }

  #link(at: string, name: string): SymlinkNode {
    let target: string;
    try {
      target = fs.readlinkSync(path.join(this.#source.top, at));
    } catch (error) {
      throw unreadable(at, error);
    }
    if (this.#options.escapingLinks === 'refuse' && linkEscapes(at, target)) {
      throw new Fault('PATH_ESCAPES', `"${at}" is a link to "${target}", which is out of the tree`, {
        hint: 'Make it a relative link that stays inside, or leave it out.',
      });
    }
    return { name, target };
  }

  #isWhiteout(at: string): boolean {
    return fs.lstatSync(path.join(this.#source.top, at)).rdev === 0;
  }

  /** Of a directory itself. */
  #ownProperties(at: string): { readonly properties?: NodeProperties } {
    if (this.#options.mtimes !== 'preserve' && this.#options.modes !== 'full') return {};
    return this.#propertiesOf(fs.lstatSync(path.join(this.#source.top, at), { bigint: true }), WRITABLE_MODES.directory, undefined);
  }

  #propertiesOf(stat: fs.BigIntStats, usual: number, group: string | undefined): { readonly properties?: NodeProperties } {
    const mode = Number(stat.mode & 0o777n);
    const properties: NodeProperties = {
      ...(this.#options.mtimes === 'preserve' ? { mtimeUs: Number(stat.mtimeNs / 1_000n) } : {}),
      ...(this.#options.modes === 'full' && mode !== usual ? { mode } : {}),
      ...(group === undefined ? {} : { named: [{ name: HARD_LINK_GROUP, value: group }] }),
    };
    return Object.keys(properties).length === 0 ? {} : { properties };
  }
}

/** Faults of the sink's store have codes of ours; what else has one came from the file system. */
function isStoreError(error: unknown): boolean {
  return !(error instanceof Error && 'code' in error);
}

/** The entries of a directory as they come together. */
type Parts = {
  readonly files: Map<string, FileNode>;
  readonly directories: Map<string, Digest>;
  readonly symlinks: Map<string, SymlinkNode>;
  /** Forgets what the base has of that name: it is replaced or removed. */
  readonly take: (name: string) => void;
};

/** In an overlay what is not found is still there; elsewhere it is gone. */
function startOf(here: BaseHere | undefined): Parts {
  const base = here?.base.kind === 'overlay' ? here.directory : undefined;
  const files = new Map(base?.files.map((node) => [node.name, node]));
  const directories = new Map(base?.directories.map((node) => [node.name, node.digest]));
  const symlinks = new Map(base?.symlinks.map((node) => [node.name, node]));
  const take = (name: string) => {
    for (const map of [files, directories, symlinks]) map.delete(name);
  };
  return { files, directories, symlinks, take };
}

/** Whether the parts are surely the directory's own: files that were believed are the very nodes that the base has. */
function isUnchanged(directory: Directory, { files, directories, symlinks }: Parts): boolean {
  return (
    directory.properties === undefined &&
    files.size === directory.files.length &&
    directories.size === directory.directories.length &&
    symlinks.size === directory.symlinks.length &&
    directory.files.every((node) => files.get(node.name) === node) &&
    directory.directories.every((node) => directories.get(node.name) === node.digest) &&
    directory.symlinks.every((node) => symlinks.get(node.name)?.target === node.target && node.properties === undefined)
  );
}

function indexOf(files: readonly FileNode[]): ReadonlyMap<string, number> {
  return new Map(files.map((file, index) => [file.name, index]));
}

function childOf(here: BaseHere, name: string): { readonly base: Base; readonly digest: Digest; readonly at: string } | undefined {
  const child = here.directory.directories.find((node) => node.name === name);
  return child === undefined ? undefined : { base: here.base, digest: child.digest, at: here.at === '' ? name : `${here.at}/${name}` };
}

/** Names of groups by device and inode: the first path of each file that has several names in the tree. */
function findGroups(top: string): ReadonlyMap<string, string> {
  const first = new Map<string, string>();
  const groups = new Map<string, string>();
  const visit = (at: string): void => {
    const entries = listDirectory(path.join(top, at), at).toSorted((a, b) => compareNames(a.name, b.name));
    for (const entry of entries) {
      const below = at === '' ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) visit(below);
      if (!entry.isFile()) continue;
      const stat = fs.lstatSync(path.join(top, below), { bigint: true });
      if (stat.nlink < 2n) continue;
      const key = `${stat.dev} ${stat.ino}`;
      const known = first.get(key);
      if (known === undefined) first.set(key, below);
      else groups.set(key, known);
    }
  };
  visit('');
  return groups;
}
