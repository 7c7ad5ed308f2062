import type { BlobStore } from '../blob-store.ts';
import type { Digest } from '../digest.ts';
import type { BlobSource } from '../tree/build.ts';
import { uploadTree } from '../tree/upload.ts';
import type { TreeSink } from './save.ts';

/** Blobs that are sent together; as many again are gathered meanwhile. */
const GATHERED_COUNT = 4_096;
const GATHERED_BYTES = 16 * 1024 * 1024;
/** Files whose place is remembered: more than that are not a small change. */
const FILES_COUNT_MAX = 20_000;
/** Digests that are remembered as sent; asking the store once more costs little, remembering millions much. */
const SEEN_COUNT_MAX = 200_000;

/**
 * Sends what a save finds while it goes on, some thousand blobs at a time, so that memory does not go with the
 * number of files: only the directories stay, for the message that holds them all. Blobs that
 * were once sent through it are not asked for again.
 */
export class UploadSink implements TreeSink {
  readonly #store: BlobStore;
  readonly #signal: AbortSignal;
  readonly #seen = new Set<Digest>();
  #gathered = new Map<Digest, BlobSource>();
  #gatheredBytes = 0;
  #sending: Promise<void> = Promise.resolve();
  sentBytes = 0;
  /** The directories that came. */
  readonly encoded = new Map<Digest, Uint8Array>();
  /** Where files lie that came, the first of them only. */
  readonly files = new Map<Digest, string>();

  constructor(store: BlobStore, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  file(digest: Digest, absolute: string): Promise<void> {
    if (this.files.size < FILES_COUNT_MAX) this.files.set(digest, absolute);
    return this.#add(digest, { kind: 'file', path: absolute }, 0);
  }

  directory(digest: Digest, bytes: Uint8Array): Promise<void> {
    this.encoded.set(digest, bytes);
    return this.#add(digest, { kind: 'bytes', bytes }, bytes.byteLength);
  }

  /** Waits until the store has everything. @throws whatever it throws. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#sending;
  }

  async #add(digest: Digest, source: BlobSource, bytes: number): Promise<void> {
    if (this.#seen.has(digest)) return;
    if (this.#seen.size >= SEEN_COUNT_MAX) this.#seen.clear();
    this.#seen.add(digest);
    this.#gathered.set(digest, source);
    this.#gatheredBytes += bytes;
    if (this.#gathered.size >= GATHERED_COUNT || this.#gatheredBytes >= GATHERED_BYTES) await this.#flush();
  }

  /** At most one batch is under way: the next waits here, and with it the walk. */
  async #flush(): Promise<void> {
    await this.#sending;
    const blobs = this.#gathered;
    this.#gathered = new Map();
    this.#gatheredBytes = 0;
    const sending = uploadTree({ blobs }, this.#store, this.#signal).then(({ sentBytes }) => {
      this.sentBytes += sentBytes;
    });
    sending.catch(() => {}); // whoever waits for it next gets the error
    this.#sending = sending;
  }
}
