import { Fault } from '../../base/fault.ts';
import type { ReadBlob } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { EMPTY_DIGEST, digestOf, sizeOf, type Digest } from '../digest.ts';
import { EMPTY_DIRECTORY, decodeDirectory, type Directory } from './directory.ts';

const IN_FLIGHT_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES = 16 * 1024;
/** Encoded directories that are remembered; beyond it they are read once more. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Makes blobs cheap to read one after the other: all of them come at once. @throws whatever reading them would throw */
export type BringBlobs = (digests: readonly Digest[], signal: AbortSignal) => Promise<void>;

/** Reads directories and checks them against their digests; remembers, encoded, as many as fit into a bound. */
export class DirectoryReader {
  readonly #read: ReadBlob;
  readonly #bring: BringBlobs | undefined;
  readonly #kept = new Map<Digest, Uint8Array>();
  #keptBytes = 0;

  /** `bring` has many near before `read` is asked for each of them. @default each comes by itself */
  constructor(read: ReadBlob, bring?: BringBlobs) {
    this.#read = read;
    this.#bring = bring;
  }

  /** @throws {Fault} BLOB_CORRUPT, BAD_REQUEST; whatever the source throws. */
  async one(digest: Digest, signal: AbortSignal): Promise<Directory> {
    if (digest === EMPTY_DIGEST) return EMPTY_DIRECTORY;
    const kept = this.#kept.get(digest);
    if (kept !== undefined) return decodeDirectory(kept);
    const bytes = await this.#read(digest, signal);
    if (digestOf(bytes) !== digest) throw new Fault('BLOB_CORRUPT', `Directory ${digest}: other bytes came than its own`);
    const directory = decodeDirectory(bytes);
    if (this.#keptBytes + bytes.byteLength <= KEPT_BYTES_MAX) {
      // Copied: what comes from a store may be a slice of much more.
      this.#kept.set(digest, Buffer.from(bytes));
      this.#keptBytes += bytes.byteLength;
    }
    return directory;
  }

  /** Several at once; `use` gets each as it comes. Throws as `one`. */
  async each(digests: Iterable<Digest>, use: (digest: Digest, directory: Directory) => void, signal: AbortSignal): Promise<void> {
    const wanted = [...digests];
    const unknown = wanted.filter((digest) => digest !== EMPTY_DIGEST && !this.#kept.has(digest));
    if (unknown.length > 1) await this.#bring?.(unknown, signal);
    await forEachWithin(
      wanted,
      IN_FLIGHT_BYTES,
      (digest) => sizeOf(digest) + OVERHEAD_BYTES,
      async (digest, stop) => use(digest, await this.one(digest, stop)),
      signal,
    );
  }
}
