import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Fault, wrap } from '../../base/fault.ts';
import { Turns } from '../../base/turns.ts';
import type { BlobStore, ReadBlob } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, digestOf, sizeOf, type Digest } from '../digest.ts';
import { blobReader } from '../read-blob.ts';
import { decodeDirectory, type Directory } from './directory.ts';
import { linkEscapes } from './path.ts';
import { FIXED_MTIME_S, WRITABLE_MODES, diskFault, placeFile, type Modes } from './place.ts';

/** A file that is to be made. `path` is absolute; nothing is there yet, and its directory is. */
export type FileToPlace = { readonly path: string; readonly digest: Digest; readonly executable: boolean; readonly mode: number };

/** Where a tree's blobs come from, and how a file comes to its path: written, copied or linked. */
export interface FileSource {
  /** The bytes of a Directory message. They are checked by whoever asks. */
  readonly readDirectory: ReadBlob;
  /**
   * Makes the file, as `placeFile` does: it must be new, hold the digest's verified bytes, and have the mode and
   * `FIXED_MTIME_S`.
   */
  placeFile(file: FileToPlace, signal: AbortSignal): Promise<void>;
}

export type MaterialiseOptions = {
  /** @default WRITABLE_MODES */
  readonly modes?: Modes;
  /** Links that lead out of the tree. They are never followed here. @default 'keep' */
  readonly escapingLinks?: 'refuse' | 'keep';
  /** Most files, directories and links. A tree of few bytes can stand for very many. @default 2 million */
  readonly entriesMax?: number;
};

const ENTRIES_MAX = 2_000_000;
const DEPTH_MAX = 512;
/** Bytes of files on their way at once, each counted with its overhead. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const OVERHEAD_BYTES = 16 * 1024;
/** Files or directories made between two turns of other work: some milliseconds of a slow disk. */
const ENTRIES_PER_TURN = 32;

/** Writes files with bytes from `store`. */
export function storeFileSource(store: BlobStore): FileSource {
  return {
    readDirectory: blobReader(store),
    placeFile: ({ path: file, digest, mode }, signal) =>
      placeFile(file, digest, mode, digest === EMPTY_DIGEST ? new Uint8Array(0) : store.get(digest, undefined, signal)),
  };
}

/**
 * Makes the tree at `into`, which must not exist (its parent must). It is built beside it under another name: directories
 * first, then files, links last, so that nothing can be written through a link; then it is renamed. On any error nothing is
 * left behind.
 * @throws {Fault} BAD_REQUEST for a directory that is not canonical; PATH_ESCAPES; TOO_LARGE; BLOB_UNKNOWN, BLOB_CORRUPT,
 * STORE_FULL and whatever `source` throws, with the path.
 */
export async function materialise(
  root: Digest,
  into: string,
  source: FileSource,
  signal: AbortSignal,
  options: MaterialiseOptions = {},
): Promise<void> {
  const staging = `${into}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await fill(root, staging, source, signal, options);
    // An empty directory would be replaced silently by rename.
    if (fs.lstatSync(into, { throwIfNoEntry: false }) !== undefined) throw new Fault('WRONG_STATE', `"${into}" exists already`);
    fs.renameSync(staging, into);
  } catch (error) {
    await fs.promises.rm(staging, { recursive: true, force: true }).catch(() => removeTree(staging));
    throw diskFault(error, into);
  }
}

async function fill(root: Digest, staging: string, source: FileSource, signal: AbortSignal, options: MaterialiseOptions): Promise<void> {
  const modes = options.modes ?? WRITABLE_MODES;
  const plan = await planTree(root, source.readDirectory, options, signal);
  const turns = new Turns(ENTRIES_PER_TURN);
  for (const directory of plan.directories) {
    await turns.take();
    signal.throwIfAborted();
    fs.mkdirSync(path.join(staging, directory), { mode: 0o700 });
  }
  await forEachWithin(
    plan.files,
    IN_FLIGHT_BYTES,
    (file) => Math.min(sizeOf(file.digest), IN_FLIGHT_BYTES / 8) + OVERHEAD_BYTES,
    async (file, stop) => {
      const mode = file.executable ? modes.executable : modes.file;
      await turns.take();
      stop.throwIfAborted();
      try {
        await source.placeFile({ path: path.join(staging, file.path), digest: file.digest, executable: file.executable, mode }, stop);
      } catch (error) {
        throw error instanceof Fault ? wrap(error, `Making "${file.path}"`) : error;
      }
    },
    signal,
  );
  for (const link of plan.links) fs.symlinkSync(link.target, path.join(staging, link.path));
  for (const directory of plan.directories.toReversed()) {
    await turns.take();
    const absolute = path.join(staging, directory);
    fs.chmodSync(absolute, modes.directory);
    fs.utimesSync(absolute, FIXED_MTIME_S, FIXED_MTIME_S);
  }
}

/** Everything in a tree by path. `directories` begins with '' and has parents before children. */
export type TreePlan = {
  readonly directories: readonly string[];
  readonly files: readonly { readonly path: string; readonly digest: Digest; readonly executable: boolean }[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
};

/** Reads all directories of a tree, each once, and lays them out. @throws {Fault} as `materialise`. */
export async function planTree(root: Digest, read: ReadBlob, options: MaterialiseOptions, signal: AbortSignal): Promise<TreePlan> {
  const known = await readDirectories(root, read, options.entriesMax ?? ENTRIES_MAX, signal);
  const plan = { directories: [''], files: [] as TreePlan['files'][number][], links: [] as TreePlan['links'][number][] };
  let entries = 0;
  const waiting = [{ at: '', digest: root, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const directory = known.get(next.digest);
    if (directory === undefined) throw new Fault('BLOB_UNKNOWN', `Directory ${next.digest} is not in the store`);
    if (next.depth > DEPTH_MAX) throw new Fault('TOO_LARGE', `The tree ${root} is more than ${DEPTH_MAX} directories deep`);
    entries += directory.files.length + directory.directories.length + directory.symlinks.length;
    if (entries > (options.entriesMax ?? ENTRIES_MAX)) {
      throw new Fault('TOO_LARGE', `The tree ${root} has more than ${options.entriesMax ?? ENTRIES_MAX} entries`);
    }
    const below = (name: string) => (next.at === '' ? name : `${next.at}/${name}`);
    for (const file of directory.files) plan.files.push({ path: below(file.name), digest: file.digest, executable: file.executable });
    for (const link of directory.symlinks) {
      if (options.escapingLinks === 'refuse' && linkEscapes(below(link.name), link.target)) {
        throw new Fault('PATH_ESCAPES', `"${below(link.name)}" is a link to "${link.target}", which is out of the tree`);
      }
      plan.links.push({ path: below(link.name), target: link.target });
    }
    for (const child of directory.directories) {
      plan.directories.push(below(child.name));
      waiting.push({ at: below(child.name), digest: child.digest, depth: next.depth + 1 });
    }
  }
  return plan;
}

/** Every directory of the tree by digest, level by level. */
async function readDirectories(root: Digest, read: ReadBlob, limit: number, signal: AbortSignal): Promise<Map<Digest, Directory>> {
  const known = new Map<Digest, Directory>();
  let level = [root];
  while (level.length > 0) {
    const next = new Set<Digest>();
    await forEachWithin(
      level,
      IN_FLIGHT_BYTES,
      (digest) => sizeOf(digest) + OVERHEAD_BYTES,
      async (digest, stop) => {
        const bytes = digest === EMPTY_DIGEST ? new Uint8Array(0) : await read(digest, stop);
        if (digestOf(bytes) !== digest) throw new Fault('BLOB_CORRUPT', `Directory ${digest}: other bytes came than its own`);
        const directory = decodeDirectory(bytes);
        known.set(digest, directory);
        for (const child of directory.directories) next.add(child.digest);
      },
      signal,
    );
    if (known.size > limit) throw new Fault('TOO_LARGE', `The tree ${root} has more than ${limit} directories`);
    level = [...next].filter((digest) => !known.has(digest));
  }
  return known;
}

/** Removes a tree, whatever the modes of its directories. */
export function removeTree(top: string): void {
  try {
    fs.rmSync(top, { recursive: true, force: true });
  } catch {
    // Directories without write permission keep what they hold: an ordinary user must open them first.
    for (const directory of [top, ...listDirectories(top)]) fs.chmodSync(directory, 0o700);
    fs.rmSync(top, { recursive: true, force: true });
  }
}

function listDirectories(top: string): string[] {
  const found: string[] = [];
  fs.chmodSync(top, 0o700);
  for (const entry of fs.readdirSync(top, { withFileTypes: true })) {
    if (entry.isDirectory()) found.push(path.join(top, entry.name), ...listDirectories(path.join(top, entry.name)));
  }
  return found;
}
