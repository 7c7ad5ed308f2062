import { readFileSync, rmdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { formatSizeBytes } from '../../base/quantity.ts';
import type { BlobStore } from '../blob-store.ts';
import { EMPTY_DIGEST, parseDigest, sizeOf, type Digest } from '../digest.ts';
import { diskStore, diskStores } from '../disk.ts';
import { LruDir } from '../lru-dir.ts';
import { ownerOf, partitionOf } from '../owner.ts';
import type { Owner } from '../store-index/store-index.ts';
import type { StoreOf, StoreView } from '../store-view.ts';

/** A blob that waits for the store: whose it is, who stored it, and since when it waits. */
export type StagedBlob = { readonly owner: Owner; readonly digest: Digest; readonly producer: string; readonly stagedAt: TimeMs };

/** What waits, what may wait at most, and what was turned away since the process began. */
export type StagingTotals = {
  readonly blobs: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly stagedCount: number;
  readonly refusedCount: number;
};

export type StagingOptions = {
  readonly dir: string;
  /** Most bytes of blobs; what does not fit is refused. Nothing that was taken makes room for others. */
  readonly limitBytes: number;
  readonly env: Env;
  /** Most blobs, however small. @default 500,000 */
  readonly limitCount?: number;
};

const LIMIT_COUNT = 500_000;
/** Ends the name of the file that says who stored a blob. */
const LABEL = '.by';
const LABEL_BYTES_MAX = 4_096;
/** The blob of a label comes within this time, or never: its writer was killed. */
const HALF_MS = 60 * 60_000;

/**
 * Blobs on the local disk that the store did not take, by owner as in the store. What was taken survives loss of power, and stays
 * until it is removed by name. Several processes may share the directory: what is there the disk says.
 */
export class StagingArea implements AsyncDisposable {
  /** The blobs that a view may read. Writing goes through `put`. */
  readonly storeOf: StoreOf;
  readonly #options: StagingOptions;
  readonly #files: LruDir;
  #blobs = 0;
  #bytes = 0;
  /** Being written. */
  readonly #coming = { blobs: 0, bytes: 0 };
  #stagedCount = 0;
  #refusedCount = 0;

  private constructor(options: StagingOptions, files: LruDir) {
    this.#options = options;
    this.#files = files;
    this.storeOf = diskStores(files, 'power');
  }

  /** Opens the directory with what waits there. @throws {Fault} STORE_UNAVAILABLE */
  static async open(options: StagingOptions): Promise<StagingArea> {
    const { dir, env } = options;
    // Nothing is taken away for room. What is here is nowhere else: whether it is there is looked at each time.
    const files = LruDir.open({ dir, limitBytes: Number.MAX_SAFE_INTEGER, durability: 'power', believing: false, env });
    const area = new StagingArea(options, files);
    await area.list();
    return area;
  }

  /** As far as this process knows: others that share the directory are seen at the next `list`. */
  get isEmpty(): boolean {
    return this.#blobs === 0;
  }

  totals(): StagingTotals {
    const { limitBytes } = this.#options;
    return {
      blobs: this.#blobs,
      bytes: this.#bytes,
      limitBytes,
      stagedCount: this.#stagedCount,
      refusedCount: this.#refusedCount,
    };
  }

  /** Whether one of the blobs waits in a scope that the view reads. */
  async holdsAny(view: StoreView, digests: readonly Digest[], signal: AbortSignal): Promise<boolean> {
    if (this.isEmpty) return false;
    const asked = new Set(digests);
    return (await this.storeOf(view).findMissing([...asked], signal)).length < asked.size;
  }

  /**
   * Takes a blob in for the scope that the view writes; returns once it is durable on this disk.
   * @throws {Fault} BUCKET_UNAVAILABLE where there is no room; DIGEST_MISMATCH; FORBIDDEN; whatever `source` throws
   */
  async put(view: StoreView, digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void> {
    if (view.writes === undefined) throw new Fault('FORBIDDEN', `Nothing may be stored in ${view.project} with these rights`);
    const partition = partitionOf({ project: view.project, scope: view.writes });
    if (digest === EMPTY_DIGEST) return await this.#storeIn(partition).put(digest, source, signal);
    if (!this.isEmpty && (await this.storeOf(view).findMissing([digest], signal)).length === 0) return;
    const { limitBytes, limitCount = LIMIT_COUNT, env } = this.#options;
    const size = sizeOf(digest);
    const labelName = `${digest}${LABEL}`;
    const coming = this.#coming;
    if (this.#bytes + coming.bytes + size > limitBytes || this.#blobs + coming.blobs >= limitCount) {
      throw this.#full(`${formatSizeBytes(this.#bytes)} in ${this.#blobs} blobs wait`);
    }
    coming.bytes += size;
    coming.blobs += 1;
    try {
      // First, so that no blob lies there of which nobody knows who stored it.
      const label = Buffer.from(JSON.stringify({ producer: view.producer, stagedAt: env.clock.now() }));
      await this.#files.write(partition, labelName, label.byteLength, (fd) => void writeSync(fd, label));
      await this.#storeIn(partition).put(digest, source, signal);
      this.#stagedCount += 1;
      this.#bytes += size;
      this.#blobs += 1;
    } catch (error) {
      if (this.#files.use(partition, digest) === undefined) this.#files.remove(partition, labelName);
      throw isFault(error, 'STORE_FULL') ? this.#full(error.message) : error;
    } finally {
      coming.bytes -= size;
      coming.blobs -= 1;
    }
  }

  /** The bytes of a blob that waits. @throws {Fault} BLOB_UNKNOWN, BLOB_CORRUPT (it is gone then) */
  read({ owner, digest }: StagedBlob, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#storeIn(partitionOf(owner)).get(digest, undefined, signal);
  }

  /** It waits no longer. */
  remove({ owner, digest }: StagedBlob): void {
    const partition = partitionOf(owner);
    this.#files.remove(partition, digest);
    this.#files.remove(partition, `${digest}${LABEL}`);
    this.#blobs = Math.max(0, this.#blobs - 1);
    this.#bytes = Math.max(0, this.#bytes - sizeOf(digest));
  }

  /** All that waits, as the disk has it, what came first before the rest. */
  async list(): Promise<readonly StagedBlob[]> {
    const before = this.#stagedCount;
    const blobs: StagedBlob[] = [];
    for (const partition of this.#files.partitions()) {
      const owner = ownerOf(partition);
      if (owner === undefined) continue;
      const names = new Set<string>();
      for await (const name of this.#files.listAll(partition)) names.add(name);
      for (const name of names) {
        const digest = parseDigest(name);
        const label = digest === undefined ? undefined : this.#labelOf(partition, digest);
        if (digest !== undefined) blobs.push({ owner, digest, ...(label ?? { producer: '', stagedAt: 0 }) });
        else if (!names.has(name.slice(0, -LABEL.length))) this.#removeLeftover(partition, name);
      }
    }
    if (this.#stagedCount === before) {
      this.#blobs = blobs.length;
      this.#bytes = blobs.reduce((sum, { digest }) => sum + sizeOf(digest), 0);
    }
    return blobs.toSorted((a, b) => a.stagedAt - b.stagedAt);
  }

  /** Removes directories in which nothing is. */
  tidy(): void {
    const { dir } = this.#options;
    for (const partition of this.#files.partitions()) {
      for (let byte = 0; byte < 256; byte += 1) removeIfEmpty(dirname(this.#files.pathOf(partition, byte.toString(16).padStart(2, '0'))));
      removeIfEmpty(join(dir, partition));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }

  #storeIn(partition: string): BlobStore {
    return diskStore(this.#files, partition, 'power');
  }

  #labelOf(partition: string, digest: Digest): Pick<StagedBlob, 'producer' | 'stagedAt'> | undefined {
    try {
      const text = readFileSync(this.#files.pathOf(partition, `${digest}${LABEL}`), 'utf8');
      const label: unknown = text.length > LABEL_BYTES_MAX ? undefined : JSON.parse(text);
      if (typeof label !== 'object' || label === null || !('producer' in label) || !('stagedAt' in label)) return undefined;
      const { producer, stagedAt } = label;
      return typeof producer === 'string' && typeof stagedAt === 'number' ? { producer, stagedAt } : undefined;
    } catch {
      return undefined;
    }
  }

  /** A label whose blob never came. */
  #removeLeftover(partition: string, name: string): void {
    const digest = parseDigest(name.slice(0, -LABEL.length));
    const label = digest === undefined ? undefined : this.#labelOf(partition, digest);
    if (label === undefined || label.stagedAt < this.#options.env.clock.now() - HALF_MS) this.#files.remove(partition, name);
  }

  #full(why: string): Fault {
    this.#refusedCount += 1;
    return new Fault('BUCKET_UNAVAILABLE', `The store does not answer, and the room to stage uploads is full: ${why}`, {
      hint: 'Bring the store back, or raise --staging-bytes.',
      retryAfterMs: 5_000,
    });
  }
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // it is not empty, or not there
  }
}
