import fs from 'node:fs';
import path from 'node:path';
import { decodeTree } from '../../cache/action/tree-message.ts';
import { digestOf, parseDigest, type Digest } from '../../cache/digest.ts';
import type { TierState } from './tier.ts';

/** Held in memory as a whole; that of 65,000 files has 5 MB. */
export const TREE_MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** Of one partition, on disk, and while they are looked into in memory. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;
/** What was not looked into for so long is read anew. */
const IDLE_MS = 10_000;

type Directories = ReadonlyMap<Digest, Uint8Array>;

/**
 * Trees' directories as they came, all those of a tree in one file, `messages/<root>`: as blobs of their own they would be thousands of
 * files, which take longer to make than everything else about them. Only the last ones are kept, by bytes. Nothing on the disk is believed:
 * directories are found by the digests that they have.
 */
export class TreeMessages {
  readonly #directory: string;
  readonly #state: TierState;
  /** Files that may be there, the latest last. */
  #files: string[] | undefined;
  readonly #read = new Map<string, Directories>();
  #idle: NodeJS.Timeout | undefined;

  constructor(home: string, state: TierState) {
    this.#directory = path.join(home, 'messages');
    this.#state = state;
  }

  /** Keeps the REAPI Tree of the directory `root`; without effect where it holds no such. @throws {Fault} BAD_REQUEST; the file system's error */
  keep(root: Digest, message: Uint8Array): void {
    const directories = directoriesOf(message);
    const file = `${this.#directory}/${root}`;
    if (!directories.has(root) || this.#state.index.use(file)) return;
    const aside = this.#state.newPath();
    try {
      fs.writeFileSync(aside, message, { mode: 0o600 });
      fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      fs.renameSync(aside, file);
    } finally {
      fs.rmSync(aside, { force: true });
    }
    this.#list().push(file);
    this.#use(file, directories);
    this.#state.added(file, message.byteLength)[Symbol.dispose]();
    this.#forgetOldest();
  }

  /** A directory of any tree that is kept; a view of all of that tree's. */
  find(digest: Digest): Uint8Array | undefined {
    for (const file of this.#list().toReversed()) {
      const directories = this.#read.get(file) ?? this.#readNow(file);
      const found = directories?.get(digest);
      if (found !== undefined) {
        this.#state.index.use(file);
        this.#idle?.refresh();
        return found;
      }
    }
    return undefined;
  }

  #list(): string[] {
    if (this.#files !== undefined) return this.#files;
    const names = fs.existsSync(this.#directory) ? fs.readdirSync(this.#directory) : [];
    this.#files = names.map((name) => `${this.#directory}/${name}`);
    return this.#files;
  }

  #readNow(file: string): Directories | undefined {
    if (!this.#state.index.has(file)) {
      this.#forget(file);
      return undefined;
    }
    try {
      const directories = directoriesOf(fs.readFileSync(file));
      this.#use(file, directories);
      return directories;
    } catch {
      this.#state.drop(file);
      this.#forget(file);
      return undefined;
    }
  }

  #use(file: string, directories: Directories): void {
    this.#read.set(file, directories);
    this.#idle ??= setTimeout(() => {
      this.#read.clear();
      this.#idle = undefined;
    }, IDLE_MS).unref();
    this.#idle.refresh();
  }

  #forgetOldest(): void {
    const sizes = new Map(this.#list().map((file) => [file, fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0]));
    let bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const [file, size] of sizes) {
      if (bytes <= KEPT_BYTES_MAX) break;
      if (this.#state.index.has(file)) this.#state.drop(file);
      this.#forget(file);
      bytes -= size;
    }
  }

  #forget(file: string): void {
    this.#files = this.#list().filter((one) => one !== file);
    this.#read.delete(file);
  }
}

/** Whether a file of that name is one of them. */
export function isTreeMessage(name: string): boolean {
  return parseDigest(name) !== undefined;
}

function directoriesOf(message: Uint8Array): Directories {
  return new Map(decodeTree(message).map((directory) => [digestOf(directory), directory]));
}
