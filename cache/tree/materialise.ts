import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Fault, wrap } from '../../base/fault.ts';
import { Turns } from '../../base/turns.ts';
import type { BlobStore, ReadBlob } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { DirectoryReader, type BringBlobs } from './directory-reader.ts';
import type { Directory, FileNode } from './directory.ts';
import { TREE_LIMITS, measureTree, type NameFolding, type TreeSize } from './measure.ts';
import { namingFiles } from './name-files.ts';
import { linkEscapes } from './path.ts';
import { WRITABLE_MODES, diskFault, mtimeOf, placeFile, type Modes } from './place.ts';
import { hardLinkGroupOf, type NodeProperties } from './properties.ts';

/** A file that is to be made. `path` is absolute; nothing is there yet, and its directory is. */
export type FileToPlace = {
  readonly path: string;
  readonly digest: Digest;
  readonly executable: boolean;
  readonly mode: number;
  /** In seconds, as the file system's calls take it. @default FIXED_MTIME_S */
  readonly mtimeS?: number;
};

/** Where a tree's blobs come from, and how a file comes to its path: written, copied or linked. */
export interface FileSource {
  /** The bytes of a Directory message. They are checked by whoever asks. */
  readonly readDirectory: ReadBlob;
  /** Has many directories near before they are read. @default each is read by itself */
  readonly bringDirectories?: BringBlobs | undefined;
  /** Makes the file, as the function of that name does: it must be new, hold the digest's verified bytes, and have mode and time. */
  placeFile(file: FileToPlace, signal: AbortSignal): Promise<void>;
  /** Makes many files, in an order of its own; where it is missing, they are made one by one, several at once. */
  readonly placeFiles?: ((files: readonly FileToPlace[], signal: AbortSignal) => Promise<void>) | undefined;
}

export type MaterialiseOptions = {
  /** Of entries for which the tree says none. @default WRITABLE_MODES */
  readonly modes?: Modes;
  /** Links that lead out of the tree. They are never followed here. @default 'keep' */
  readonly escapingLinks?: 'refuse' | 'keep';
  /** Most files, directories and links. A tree of few bytes can stand for very many. @default 2 million */
  readonly entriesMax?: number;
  /** How the file system tells names apart. @default found out where the tree is to lie */
  readonly folding?: NameFolding;
};

/** Bytes of files on their way at once, each counted with its overhead. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const OVERHEAD_BYTES = 16 * 1024;
/** Files or directories made between two turns of other work: some milliseconds of a slow disk. */
const ENTRIES_PER_TURN = 32;
/**
 * Files that are asked for together: few at first, so that they come while the others are still being listed; then twice as many each time,
 * since what several of them have in common comes once for all; at most what takes some 15 MB to remember, three times.
 */
const FILES_AT_ONCE = { first: 4_096, most: 32_768 };
/** Directories that are read together. */
const DIRECTORIES_AT_ONCE = 8;

/** Writes files with bytes from `store`. */
export function storeFileSource(store: BlobStore): FileSource {
  return {
    readDirectory: blobReader(store),
    placeFile: ({ path: file, digest, mode, mtimeS }, signal) =>
      placeFile(file, digest, mode, digest === EMPTY_DIGEST ? new Uint8Array(0) : store.get(digest, undefined, signal), mtimeS),
  };
}

/**
 * Makes the tree at `into`, which must not exist (its parent must). It is built beside it under another name: directories
 * first, then files, links last, so that nothing can be written through a link; then modes and times of directories; then it is
 * renamed. On any error nothing is left behind. Memory goes with the number of directories and links, not with that of files.
 * @throws {Fault} BAD_REQUEST for a directory that is not canonical or names that cannot be here; PATH_ESCAPES; TOO_LARGE; BLOB_UNKNOWN,
 * BLOB_CORRUPT, STORE_FULL and whatever `source` throws, with the path.
 */
export async function materialise(
  root: Digest,
  into: string,
  source: FileSource,
  signal: AbortSignal,
  options: MaterialiseOptions = {},
): Promise<TreeSize> {
  const staging = `${into}.${randomBytes(6).toString('hex')}.partial`;
  // Given up for the removal, should this process be able to open nothing more by then.
  const spare = fs.openSync(path.parse(path.resolve(into)).root, fs.constants.O_RDONLY);
  try {
    const reader = new DirectoryReader(source.readDirectory, source.bringDirectories);
    const folding = options.folding ?? nameFolding(path.dirname(into));
    const size = await measureTree(root, reader, { entriesMax: options.entriesMax ?? TREE_LIMITS.entries, folding }, signal);
    await new TreeMaker({ staging, reader, source, options, signal }).make(root);
    // An empty directory would be replaced silently by rename.
    if (fs.lstatSync(into, { throwIfNoEntry: false }) !== undefined) throw new Fault('WRONG_STATE', `"${into}" exists already`);
    fs.renameSync(staging, into);
    fs.closeSync(spare);
    return size;
  } catch (error) {
    fs.closeSync(spare);
    await fs.promises.rm(staging, { recursive: true, force: true }).catch(() => removeTree(staging));
    throw diskFault(error, into);
  }
}

/** Whether names that differ in case only are one here. Asked by looking: the directory itself is found under another case or not. */
export function nameFolding(directory: string): NameFolding {
  for (let at = path.resolve(directory); at !== path.dirname(at); at = path.dirname(at)) {
    const name = path.basename(at);
    const other = name === name.toLowerCase() ? name.toUpperCase() : name.toLowerCase();
    if (other === name) continue;
    const [one, two] = [at, path.join(path.dirname(at), other)].map((place) =>
      fs.lstatSync(place, { throwIfNoEntry: false, bigint: true }),
    );
    return one !== undefined && two !== undefined && one.ino === two.ino && one.dev === two.dev ? 'folded' : 'bytes';
  }
  return 'bytes';
}

type Making = {
  readonly staging: string;
  readonly reader: DirectoryReader;
  readonly source: FileSource;
  readonly options: MaterialiseOptions;
  readonly signal: AbortSignal;
};

type Finished = { readonly at: string; readonly properties: NodeProperties | undefined };

/** Makes one tree, some directories at a time. */
class TreeMaker {
  readonly #making: Making;
  readonly #modes: Modes;
  readonly #turns = new Turns(ENTRIES_PER_TURN);
  #filesAtOnce = FILES_AT_ONCE.first;
  readonly #directories: Finished[] = [];
  readonly #links: { readonly at: string; readonly target: string }[] = [];
  /** Names of a file beyond its first, and the first by group. */
  readonly #otherNames: { readonly at: string; readonly group: string }[] = [];
  readonly #firstNames = new Map<string, string>();

  constructor(making: Making) {
    this.#making = making;
    this.#modes = making.options.modes ?? WRITABLE_MODES;
  }

  async make(root: Digest): Promise<void> {
    const { signal, staging } = this.#making;
    const waiting: { at: string; digest: Digest }[] = [{ at: '', digest: root }];
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    // Two at a time: where the last files of one come, the first of the next are asked for.
    let [before, placing] = [Promise.resolve(), Promise.resolve()];
    try {
      while (waiting.length > 0) {
        const files = await this.#makeSome(waiting); // while the files of those before come
        await before;
        before = placing;
        placing = this.#place(files, either);
        for (const one of [before, placing]) one.catch((error: unknown) => stop.abort(error)); // awaited before the next, or below
      }
      await Promise.all([before, placing]);
    } finally {
      stop.abort();
      await Promise.allSettled([before, placing]);
    }
    for (const { at, group } of this.#otherNames)
      fs.linkSync(path.join(staging, this.#firstNames.get(group) ?? at), path.join(staging, at));
    for (const { at, target } of this.#links) {
      await this.#turns.take();
      signal.throwIfAborted();
      fs.symlinkSync(target, path.join(staging, at));
    }
    for (const { at, properties } of this.#directories.toReversed()) {
      await this.#turns.take();
      fs.chmodSync(`${staging}/${at}`, properties?.mode ?? this.#modes.directory);
      const mtimeS = mtimeOf(properties?.mtimeUs);
      fs.utimesSync(`${staging}/${at}`, mtimeS, mtimeS);
    }
  }

  /** Takes directories from the end of `waiting`, makes them, adds those below them, and returns their files. */
  async #makeSome(waiting: { at: string; digest: Digest }[]): Promise<readonly FileToPlace[]> {
    const { reader, signal, staging } = this.#making;
    const files: FileToPlace[] = [];
    while (files.length < this.#filesAtOnce && waiting.length > 0) {
      const some = waiting.splice(-DIRECTORIES_AT_ONCE);
      const read = new Map<Digest, Directory>();
      const wanted = new Set(some.map(({ digest }) => digest));
      await reader.each(wanted, (digest, directory) => read.set(digest, directory), signal);
      for (const { at, digest } of some) {
        const directory = read.get(digest);
        if (directory === undefined) throw new Error(`Directory ${digest} was read and is not there`);
        await this.#turns.take();
        signal.throwIfAborted();
        fs.mkdirSync(`${staging}/${at}`, { mode: 0o700 });
        this.#directories.push({ at, properties: directory.properties });
        for (const file of directory.files) this.#addFile(below(at, file.name), file, files);
        for (const link of directory.symlinks) this.#addLink(below(at, link.name), link.target);
        for (const child of directory.directories) waiting.push({ at: below(at, child.name), digest: child.digest });
      }
    }
    this.#filesAtOnce = Math.min(this.#filesAtOnce * 2, FILES_AT_ONCE.most);
    return files;
  }

  #addFile(at: string, file: FileNode, files: FileToPlace[]): void {
    const mode = file.properties?.mode ?? (file.executable ? this.#modes.executable : this.#modes.file);
    const named = hardLinkGroupOf(file.properties);
    if (named !== undefined) {
      // Only what is the same in all can be one file.
      const group = JSON.stringify([named, file.digest, mode, file.properties?.mtimeUs]);
      if (this.#firstNames.has(group)) {
        this.#otherNames.push({ at, group });
        return;
      }
      this.#firstNames.set(group, at);
    }
    const { digest, executable } = file;
    files.push({ path: `${this.#making.staging}/${at}`, digest, executable, mode, mtimeS: mtimeOf(file.properties?.mtimeUs) });
  }

  #addLink(at: string, target: string): void {
    if (this.#making.options.escapingLinks === 'refuse' && linkEscapes(at, target)) {
      throw new Fault('PATH_ESCAPES', `"${at}" is a link to "${target}", which is out of the tree`);
    }
    this.#links.push({ at, target });
  }

  async #place(files: readonly FileToPlace[], signal: AbortSignal): Promise<void> {
    const { source, staging } = this.#making;
    if (files.length === 0) return;
    const { placeFiles } = source;
    if (placeFiles !== undefined) return namingFiles(files, staging, () => placeFiles(files, signal));
    await forEachWithin(
      files,
      IN_FLIGHT_BYTES,
      (file) => Math.min(sizeOf(file.digest), IN_FLIGHT_BYTES / 8) + OVERHEAD_BYTES,
      async (file, stop) => {
        await this.#turns.take();
        stop.throwIfAborted();
        try {
          await source.placeFile(file, stop);
        } catch (error) {
          throw error instanceof Fault ? wrap(error, `Making "${path.relative(staging, file.path)}"`) : error;
        }
      },
      signal,
    );
  }
}

function below(at: string, name: string): string {
  const joined = at === '' ? name : `${at}/${name}`;
  if (joined.length > TREE_LIMITS.pathBytes / 4 && Buffer.byteLength(joined) > TREE_LIMITS.pathBytes) {
    throw new Fault('TOO_LARGE', `"${joined.slice(0, 80)}…" is a longer path than there can be (${TREE_LIMITS.pathBytes} bytes)`);
  }
  return joined;
}

/** Removes a tree, whatever the modes of its directories; by opening one file at a time, where it has to. */
export function removeTree(top: string): void {
  try {
    fs.rmSync(top, { recursive: true, force: true });
  } catch {
    removeByHand(top);
  }
}

function removeByHand(directory: string): void {
  if (fs.lstatSync(directory, { throwIfNoEntry: false }) === undefined) return;
  // Directories without write permission keep what they hold: an ordinary user must open them first.
  fs.chmodSync(directory, 0o700);
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const below = path.join(directory, entry.name);
    if (entry.isDirectory()) removeByHand(below);
    else fs.unlinkSync(below);
  }
  fs.rmdirSync(directory);
}
