import fs from 'node:fs';
import path from 'node:path';
import { Turns } from '../../base/turns.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { forEachWithin } from '../../cache/byte-budget.ts';
import { EMPTY_DIGEST, digestOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { BULK_BLOB_BYTES_MAX } from '../../cache/layer/bulk-source.ts';
import { fetchFiles } from '../../cache/layer/place-files.ts';
import { blobReader } from '../../cache/read-blob.ts';
import type { BringBlobs } from '../../cache/tree/directory-reader.ts';
import { hashFile } from '../../cache/tree/hash-file.ts';
import type { FileToPlace } from '../../cache/tree/materialise.ts';
import { FIXED_MTIME_S, WRITABLE_MODES, diskFault, placeBytes, placeFile } from '../../cache/tree/place.ts';
import type { CopyOfTree, CopyParts, TakenCopy, TierCopies } from './copies.ts';
import { linkOrRotate } from './link.ts';
import type { TierLease, TierState, TierView, TreeLease } from './tier.ts';
import { TREE_MESSAGE_BYTES_MAX, type TreeMessages } from './tree-messages.ts';
import { TierTrees } from './trees.ts';

/** From this size on a copy shares blocks where the file system can; below, that costs more than the bytes. */
const SHARED_BLOCKS_BYTES = 64 * 1024;
/** Larger files are copied off the main thread. */
const COPY_HERE_BYTES = 1024 * 1024;
const COPIED_BYTES = 64 * 1024 * 1024;
const OVERHEAD_BYTES = 16 * 1024;
const FILES_PER_TURN = 32;

/** What the views of one partition share. */
export type Partition = { readonly home: string; readonly copies: TierCopies; readonly messages: TreeMessages };

export function openTierSource(partition: Partition, store: BlobStore, state: TierState): TierView {
  return new TierSource(partition, store, state);
}

class TierSource implements TierView {
  readonly #home: string;
  readonly #store: BlobStore;
  readonly #state: TierState;
  readonly #trees: TierTrees;
  readonly #copies: TierCopies;
  readonly #messages: TreeMessages;
  readonly #turns = new Turns(FILES_PER_TURN);
  #bytesIn = 0;

  constructor({ home, copies, messages }: Partition, store: BlobStore, state: TierState) {
    this.#home = home;
    this.#copies = copies;
    this.#messages = messages;
    this.#store = store;
    this.#state = state;
    this.#trees = new TierTrees(path.join(home, 'trees'), state);
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  readonly readDirectory = async (digest: Digest, signal: AbortSignal): Promise<Uint8Array> => {
    if (digest === EMPTY_DIGEST) return new Uint8Array(0);
    const found = this.#state.index.has(this.#blobPath(digest)) ? undefined : this.#messages.find(digest);
    if (found !== undefined) return found;
    for (let tries = 0; ; tries += 1) {
      using blob = await this.#blob(digest, signal);
      const bytes = readWhole(blob.path);
      if (bytes !== undefined && digestOf(bytes) === digest) return bytes;
      this.#state.drop(blob.path);
      if (tries > 0) return bytes ?? new Uint8Array(0); // who asked finds the mismatch, and names the digest
    }
  };

  async placeFile(file: FileToPlace, signal: AbortSignal): Promise<void> {
    if (file.digest === EMPTY_DIGEST) return placeFile(file.path, file.digest, file.mode, new Uint8Array(0), file.mtimeS);
    for (let tries = 0; ; tries += 1) {
      using blob = await this.#blob(file.digest, signal);
      try {
        await copy(blob.path, file, this.#state.guarded, signal);
        return;
      } catch (error) {
        // Removed or damaged by somebody else: once more from the store.
        if (tries > 0 || fs.existsSync(blob.path)) throw diskFault(error, file.path);
        this.#state.index.remove(blob.path);
      }
    }
  }

  /** Copies of blobs that the tier has or gets. */
  readonly placeFiles = async (files: readonly FileToPlace[], signal: AbortSignal): Promise<void> => {
    await this.bringDirectories(
      files.map(({ digest }) => digest),
      signal,
    );
    await forEachWithin(
      files,
      COPIED_BYTES,
      (file) => Math.min(sizeOf(file.digest), COPIED_BYTES / 8) + OVERHEAD_BYTES,
      async (file, stop) => {
        await this.#turns.take();
        stop.throwIfAborted();
        await this.placeFile(file, stop);
      },
      signal,
    );
  };

  tree(root: Digest, at: string, signal: AbortSignal, message?: Digest): Promise<TreeLease> {
    const bringTree = () => this.bringTree(root, message, signal);
    const parts = { ...this.#parts(), placeFiles: this.#placeShared, bringTree, bytesIn: () => this.#bytesIn };
    return this.#trees.lease(root, at, parts, signal);
  }

  async bringTree(root: Digest, message: Digest | undefined, signal: AbortSignal): Promise<void> {
    if (message === undefined || sizeOf(message) > TREE_MESSAGE_BYTES_MAX) return;
    if (this.#state.index.has(this.#blobPath(root)) || this.#messages.find(root) !== undefined) return;
    try {
      const bytes = await blobReader(this.#store)(message, signal);
      this.#bytesIn += bytes.byteLength;
      this.#messages.keep(root, bytes);
    } catch {
      signal.throwIfAborted();
    }
  }

  park(directory: string, at: string, copy: CopyOfTree, saved: boolean, signal: AbortSignal): Promise<void> {
    return this.#copies.park(directory, at, copy, this.#parts(), saved, signal);
  }

  take(root: Digest, at: string, into: string, signal: AbortSignal): Promise<TakenCopy | undefined> {
    return this.#copies.take(root, at, into, this.#parts(), signal);
  }

  slot(signal: AbortSignal): Promise<Disposable> {
    return this.#state.slots.take(1, signal);
  }

  #parts(): CopyParts {
    return {
      readDirectory: this.readDirectory,
      bringDirectories: this.bringDirectories,
      placeFiles: this.placeFiles,
      salvage: (file, digest) => this.keep(file, digest),
    };
  }

  adopt(directory: string, root: Digest, at: string, bytes: number): Promise<void> {
    return this.#trees.adopt(directory, root, at, bytes);
  }

  hold(digest: Digest, bytes: Uint8Array): void {
    const target = this.#blobPath(digest);
    if (digest === EMPTY_DIGEST || this.#state.index.use(target) || this.#state.making.has(target)) return;
    const aside = this.#state.newPath();
    placeBytes(aside, digest, WRITABLE_MODES.file, bytes, FIXED_MTIME_S);
    this.#appear(aside, digest)[Symbol.dispose]();
  }

  keep(file: string, digest: Digest): void {
    if (digest === EMPTY_DIGEST || this.#state.index.has(this.#blobPath(digest))) return;
    try {
      const stat = fs.lstatSync(file);
      if (!stat.isFile() || stat.size !== sizeOf(digest)) return;
      if ((stat.mode & 0o7777) !== WRITABLE_MODES.file || stat.mtimeMs !== FIXED_MTIME_S * 1_000) {
        // Other trees may have it under another name, with this very mode.
        if (stat.nlink > 1) return;
        fs.chmodSync(file, WRITABLE_MODES.file);
        fs.utimesSync(file, FIXED_MTIME_S, FIXED_MTIME_S);
      }
      this.#appear(file, digest)[Symbol.dispose]();
    } catch {
      return; // it costs fetching it once more
    }
  }

  /**
   * Files that share their bytes with the tier, since nobody will write them: links to blobs that it has. What it has not is fetched
   * straight into place, and is in the tree only: making a file twice costs more than fetching it twice.
   */
  readonly #placeShared = async (files: readonly FileToPlace[], signal: AbortSignal): Promise<void> => {
    const fetched: FileToPlace[] = [];
    for (const file of files) {
      await this.#turns.take();
      signal.throwIfAborted();
      if (file.digest === EMPTY_DIGEST) placeBytes(file.path, file.digest, file.mode, new Uint8Array(0), file.mtimeS ?? FIXED_MTIME_S);
      else if (!this.#state.index.use(this.#blobPath(file.digest))) fetched.push(file);
      else if (!isPlain(file) || !linkOrRotate(this.#blobPath(file.digest), file.path, this.#state.newPath))
        await this.placeFile(file, signal);
    }
    this.#bytesIn += await fetchFiles(fetched, this.#store, this.#state.writers, signal);
  };

  /** Fetches those of the blobs that are small and that the tier lacks, in bulk. */
  readonly bringDirectories: BringBlobs = async (digests, signal) => {
    const lacking = new Map<Digest, FileToPlace>();
    for (const digest of digests) {
      if (digest === EMPTY_DIGEST || sizeOf(digest) > BULK_BLOB_BYTES_MAX) continue;
      const target = this.#blobPath(digest);
      if (this.#state.index.has(target) || this.#state.making.has(target) || this.#messages.find(digest) !== undefined) continue;
      lacking.set(digest, { path: this.#state.newPath(), digest, executable: false, mode: WRITABLE_MODES.file });
    }
    if (lacking.size === 0) return;
    try {
      this.#bytesIn += await fetchFiles([...lacking.values()], this.#store, this.#state.writers, signal);
      for (const { path: aside, digest } of lacking.values()) {
        await this.#turns.take();
        this.#appear(aside, digest)[Symbol.dispose]();
        lacking.delete(digest);
      }
    } finally {
      for (const { path: aside } of lacking.values()) fs.rmSync(aside, { force: true });
    }
  };

  /** Gives a file that holds the blob its place in the tier, where it stays at least until the pin is disposed of. */
  #appear(file: string, digest: Digest): Disposable {
    const target = this.#blobPath(digest);
    try {
      fs.renameSync(file, target);
    } catch (error) {
      const directory = path.dirname(target);
      if (fs.existsSync(directory)) throw error;
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      fs.renameSync(file, target);
    }
    return this.#state.added(target, sizeOf(digest));
  }

  #blobPath(digest: Digest): string {
    return `${this.#home}/blobs/${digest.slice(0, 2)}/${digest}`; // as loadIndex joins it
  }

  /** Where the blob is in the tier, fetched if need be, and kept until disposed of. */
  async #blob(digest: Digest, signal: AbortSignal): Promise<TierLease> {
    const target = this.#blobPath(digest);
    for (;;) {
      if (this.#state.index.use(target)) return leaseOf(target, this.#state.index.pin(target));
      const pin = await this.#once(target, signal, async () => {
        const aside = this.#state.newPath();
        await placeFile(aside, digest, WRITABLE_MODES.file, this.#store.get(digest, undefined, signal));
        this.#bytesIn += sizeOf(digest);
        return this.#appear(aside, digest);
      });
      if (pin !== undefined) return leaseOf(target, pin);
    }
  }

  /** Runs `make` unless somebody else is at the same thing: then waits for that one, and returns nothing. */
  async #once<T>(target: string, signal: AbortSignal, make: () => Promise<T>): Promise<T | undefined> {
    const other = this.#state.making.get(target);
    if (other !== undefined) {
      await other.catch(() => {}); // its own caller gets the error
      signal.throwIfAborted();
      return undefined;
    }
    const made = make().finally(() => this.#state.making.delete(target));
    this.#state.making.set(target, made);
    return made;
  }
}

function leaseOf(target: string, pin: Disposable): TierLease {
  return { path: target, [Symbol.dispose]: () => pin[Symbol.dispose]() };
}

/** Whether the file has the mode and time that blobs have: then it can be one with them. */
function isPlain(file: FileToPlace): boolean {
  return file.mode === WRITABLE_MODES.file && (file.mtimeS ?? FIXED_MTIME_S) === FIXED_MTIME_S;
}

/**
 * A copy of its own. Small ones are read and verified on the way; large ones share blocks where the file system can (reflink), and are read
 * and verified where somebody else could have written the tier: in a `guarded` one only their size is looked at.
 */
async function copy(blob: string, file: FileToPlace, guarded: boolean, signal: AbortSignal): Promise<void> {
  const { digest, mode, mtimeS = FIXED_MTIME_S } = file;
  const damaged = () => {
    fs.rmSync(blob, { force: true });
    return new Error(`${blob} is damaged`);
  };
  if (sizeOf(digest) < SHARED_BLOCKS_BYTES) {
    const bytes = fs.readFileSync(blob);
    if (digestOf(bytes) !== digest) throw damaged();
    placeBytes(file.path, digest, mode, bytes, mtimeS);
    return;
  }
  const how = fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE;
  if (sizeOf(digest) > COPY_HERE_BYTES) await fs.promises.copyFile(blob, file.path, how);
  else fs.copyFileSync(blob, file.path, how);
  const isGood = fs.statSync(file.path).size === sizeOf(digest);
  if (!isGood || (!guarded && (await hashFile(file.path, undefined, signal)).digest !== digest)) {
    fs.rmSync(file.path);
    throw damaged();
  }
  if (mode !== WRITABLE_MODES.file) fs.chmodSync(file.path, mode);
  fs.utimesSync(file.path, mtimeS, mtimeS);
}

function readWhole(blob: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(blob);
  } catch {
    return undefined; // evicted since it was looked up
  }
}
