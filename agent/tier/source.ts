import fs from 'node:fs';
import path from 'node:path';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, digestOf, sizeOf, type Digest } from '../../cache/digest.ts';
import { materialise, type FileToPlace } from '../../cache/tree/materialise.ts';
import { FIXED_MTIME_S, WRITABLE_MODES, diskFault, placeFile } from '../../cache/tree/place.ts';
import type { TierState, TierView, TierLease } from './tier.ts';

/** Larger files are copied off the main thread. */
const COPY_HERE_BYTES = 1024 * 1024;

/** The view of one partition at `home`. */
export function openTierSource(home: string, store: BlobStore, state: TierState): TierView {
  return new TierSource(home, store, state);
}

class TierSource implements TierView {
  readonly #home: string;
  readonly #store: BlobStore;
  readonly #state: TierState;
  #bytesIn = 0;

  constructor(home: string, store: BlobStore, state: TierState) {
    this.#home = home;
    this.#store = store;
    this.#state = state;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  readonly readDirectory = async (digest: Digest, signal: AbortSignal): Promise<Uint8Array> => {
    if (digest === EMPTY_DIGEST) return new Uint8Array(0);
    for (let tries = 0; ; tries += 1) {
      using blob = await this.#blob(digest, signal);
      const bytes = readWhole(blob.path);
      if (bytes !== undefined && digestOf(bytes) === digest) return bytes;
      this.#state.drop(blob.path);
      if (tries > 0) return bytes ?? new Uint8Array(0); // who asked finds the mismatch, and names the digest
    }
  };

  async placeFile(file: FileToPlace, signal: AbortSignal): Promise<void> {
    await this.#place(file, signal, false);
  }

  async tree(root: Digest, signal: AbortSignal): Promise<TierLease> {
    const { index } = this.#state;
    const trees = path.join(this.#home, 'trees');
    for (;;) {
      const name = fs.existsSync(trees) ? fs.readdirSync(trees).find((one) => one.startsWith(`${root}.`)) : undefined;
      const target = path.join(trees, name ?? root);
      if (index.use(target)) return leaseOf(target, index.pin(target));
      const made = await this.#once(path.join(trees, root), signal, () => this.#makeTree(root, trees, signal));
      if (made !== undefined) return made;
    }
  }

  /** Builds the tree aside, of links to blobs that the tier has and of new files; then it appears, with its size. */
  async #makeTree(root: Digest, trees: string, signal: AbortSignal): Promise<TierLease> {
    let bytes = 0;
    const aside = this.#state.newPath();
    const source = {
      readDirectory: this.readDirectory,
      placeFile: async (file: FileToPlace, stop: AbortSignal) => {
        bytes += sizeOf(file.digest);
        await this.#place(file, stop, true);
      },
    };
    await materialise(root, aside, source, signal);
    fs.mkdirSync(trees, { recursive: true, mode: 0o700 });
    const target = path.join(trees, `${root}.${bytes}`);
    fs.renameSync(aside, target);
    return leaseOf(target, this.#state.added(target, bytes));
  }

  /** `shared`: the file may share its bytes with the tier, since nobody will write it. */
  async #place(file: FileToPlace, signal: AbortSignal, shared: boolean): Promise<void> {
    if (file.digest === EMPTY_DIGEST) return placeFile(file.path, file.digest, file.mode, new Uint8Array(0));
    // What comes for a tree is kept in the tree only: making a file twice costs more than fetching it twice.
    if (shared && !this.#state.index.has(this.#blobPath(file.digest))) {
      await placeFile(file.path, file.digest, file.mode, this.#store.get(file.digest, undefined, signal));
      this.#bytesIn += sizeOf(file.digest);
      return;
    }
    for (let tries = 0; ; tries += 1) {
      using blob = await this.#blob(file.digest, signal);
      try {
        if (shared && file.mode === WRITABLE_MODES.file && linked(blob.path, file.path)) return;
        await copy(blob.path, file);
        return;
      } catch (error) {
        // Removed or damaged by somebody else: once more from the store.
        if (tries > 0 || fs.existsSync(blob.path)) throw diskFault(error, file.path);
        this.#state.index.remove(blob.path);
      }
    }
  }

  #blobPath(digest: Digest): string {
    return path.join(this.#home, 'blobs', digest.slice(0, 2), digest);
  }

  /** Where the blob is in the tier, fetched if need be, and kept until disposed of. */
  async #blob(digest: Digest, signal: AbortSignal): Promise<TierLease> {
    const target = this.#blobPath(digest);
    for (;;) {
      if (this.#state.index.use(target)) return leaseOf(target, this.#state.index.pin(target));
      const pin = await this.#once(target, signal, async () => {
        const aside = this.#state.newPath();
        await placeFile(aside, digest, WRITABLE_MODES.file, this.#store.get(digest, undefined, signal));
        fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
        fs.renameSync(aside, target);
        this.#bytesIn += sizeOf(digest);
        return this.#state.added(target, sizeOf(digest));
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

/** Whether a hard link could be made; not where the blob has as many as the file system allows, or is on another one. */
function linked(blob: string, target: string): boolean {
  try {
    fs.linkSync(blob, target);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'EMLINK' || error.code === 'EXDEV' || error.code === 'EPERM'))
      return false;
    throw error;
  }
}

/** A copy of its own, sharing blocks where the file system can (reflink). A blob of another size than its digest says is damaged. */
async function copy(blob: string, file: FileToPlace): Promise<void> {
  const mode = fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE;
  if (sizeOf(file.digest) > COPY_HERE_BYTES) await fs.promises.copyFile(blob, file.path, mode);
  else fs.copyFileSync(blob, file.path, mode);
  if (fs.statSync(file.path).size !== sizeOf(file.digest)) {
    fs.rmSync(file.path);
    fs.rmSync(blob, { force: true });
    throw new Error(`${blob} is damaged`);
  }
  if (file.mode !== WRITABLE_MODES.file) fs.chmodSync(file.path, file.mode);
  fs.utimesSync(file.path, FIXED_MTIME_S, FIXED_MTIME_S);
}

function readWhole(blob: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(blob);
  } catch {
    return undefined; // evicted since it was looked up
  }
}
