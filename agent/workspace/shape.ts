import type { ReadBlob } from '../../cache/blob-store.ts';
import { forEachWithin } from '../../cache/byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../../cache/digest.ts';
import { EMPTY_DIRECTORY, decodeDirectory, type Directory } from '../../cache/tree/directory.ts';

/** A directory with what is in the whole tree below it. */
export type Shape = { readonly directory: Directory; readonly fileCount: number; readonly bytes: number };

const IN_FLIGHT_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES = 16 * 1024;
/** Directories whose shape is remembered; a large dependency tree has several thousand. */
const SHAPES_COUNT_MAX = 50_000;

/** Finds out how large the parts of a tree are; parts that it has seen before cost nothing. */
export class Shapes {
  readonly #known = new Map<Digest, Shape>([[EMPTY_DIGEST, { directory: EMPTY_DIRECTORY, fileCount: 0, bytes: 0 }]]);

  /** The shapes of `root` and everything below it, as a lookup. @throws {Fault} as `read` and `decodeDirectory`. */
  async below(root: Digest, read: ReadBlob, signal: AbortSignal): Promise<(digest: Digest) => Shape> {
    if (this.#known.size > SHAPES_COUNT_MAX) this.#forget();
    const fresh = new Map<Digest, Directory>();
    let level = this.#known.has(root) ? [] : [root];
    while (level.length > 0) {
      const next = new Set<Digest>();
      await forEachWithin(
        level,
        IN_FLIGHT_BYTES,
        (digest) => sizeOf(digest) + OVERHEAD_BYTES,
        async (digest, stop) => {
          const directory = decodeDirectory(await read(digest, stop));
          fresh.set(digest, directory);
          for (const child of directory.directories) next.add(child.digest);
        },
        signal,
      );
      level = [...next].filter((digest) => !fresh.has(digest) && !this.#known.has(digest));
    }
    this.#sum(root, fresh);
    const known = this.#known;
    return (digest) => {
      const shape = known.get(digest);
      if (shape === undefined) throw new Error(`No shape of ${digest}: it is not below ${root}`);
      return shape;
    };
  }

  /** Children before parents, without recursion: trees may be deep. */
  #sum(root: Digest, fresh: ReadonlyMap<Digest, Directory>): void {
    const waiting = [root];
    for (let digest = waiting.at(-1); digest !== undefined; digest = waiting.at(-1)) {
      const directory = fresh.get(digest);
      if (directory === undefined || this.#known.has(digest)) {
        waiting.pop();
        continue;
      }
      const unknown = directory.directories.filter((child) => !this.#known.has(child.digest));
      if (unknown.length > 0) {
        waiting.push(...unknown.map((child) => child.digest));
        continue;
      }
      let fileCount = directory.files.length + directory.symlinks.length;
      let bytes = directory.files.reduce((sum, file) => sum + sizeOf(file.digest), 0);
      for (const child of directory.directories) {
        fileCount += this.#known.get(child.digest)?.fileCount ?? 0;
        bytes += this.#known.get(child.digest)?.bytes ?? 0;
      }
      this.#known.set(digest, { directory, fileCount, bytes });
      waiting.pop();
    }
  }

  #forget(): void {
    this.#known.clear();
    this.#known.set(EMPTY_DIGEST, { directory: EMPTY_DIRECTORY, fileCount: 0, bytes: 0 });
  }
}
