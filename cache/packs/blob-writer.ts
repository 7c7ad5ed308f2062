import { Fault, isFault } from '../../base/fault.ts';
import { ByteBudget } from '../byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { collectVerified, verified } from '../verify.ts';
import { CHUNK_SIZES, contentPieces, evenPieces } from './chunker.ts';
import type { PackContext } from './context.ts';
import { looksCompressible } from './frame.ts';
import { LargeUpload, type UploadParts } from './large-upload.ts';
import type { PackLane } from './pack-lane.ts';
import type { Presence } from './presence.ts';
import type { Reach } from './stored-part.ts';
import { unlessAborted } from './tries.ts';

/** From this size on a blob is cut into pieces, all of which are smaller: so that no piece is cut itself. */
export const LARGE_BYTES = 1024 * 1024;
const EVEN_BYTES = 512 * 1024;
/** What does not compress is cut by content from this size on only: below, it hardly ever has pieces in common with anything. */
const CONTENT_CUT_BYTES = 16 * 1024 * 1024;
const PROBE_BYTES = 256 * 1024;

/** Who stores where, and what they see. */
export type Writer = { readonly reach: Reach; readonly scope: string; readonly producer: string };

export type BlobWriterParts = Omit<UploadParts, 'lane'> & {
  readonly presence: Presence;
  readonly laneOf: (writer: Writer) => PackLane;
};

/** Stores blobs: hashed here, whatever the source says of them, and acknowledged once they are durable and the index knows them. */
export class BlobWriter {
  readonly #context: PackContext;
  readonly #parts: BlobWriterParts;
  /** Puts under way, by owner and digest. */
  readonly #flights = new Map<string, Promise<boolean>>();

  constructor(parts: BlobWriterParts) {
    this.#context = parts.context;
    this.#parts = parts;
  }

  /** @throws {Fault} as `BlobStore.put` */
  async put(writer: Writer, digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (digest === EMPTY_DIGEST) {
      await collectVerified(digest, source);
      return;
    }
    if (source instanceof Uint8Array) await collectVerified(digest, source);
    const key = `${writer.reach.project}\0${writer.scope}\0${digest}`;
    for (let flight = this.#flights.get(key); flight !== undefined; flight = this.#flights.get(key)) {
      if (await unlessAborted(flight, signal)) return;
    }
    const work = this.#store(writer, digest, source, signal);
    const flight = work.then(
      () => true,
      () => false,
    );
    this.#flights.set(key, flight);
    try {
      await work;
    } finally {
      this.#flights.delete(key);
    }
  }

  async #store(writer: Writer, digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void> {
    const { presence, laneOf } = this.#parts;
    const { counters } = this.#context;
    if ((await presence.missing(writer.reach, [digest], signal)).length === 0) return;
    const lane = laneOf(writer);
    if (sizeOf(digest) >= LARGE_BYTES) await this.#storeLarge(writer, lane, digest, source, signal);
    else await this.#storeSmall(lane, digest, source, signal);
    counters.blobsStored += 1;
    counters.blobBytesStored += sizeOf(digest);
  }

  async #storeSmall(lane: PackLane, digest: Digest, source: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal): Promise<void> {
    const room = await this.#parts.budget.take(sizeOf(digest), signal);
    let isAdded = false;
    try {
      // A view of a caller's message must not keep the whole message, nor change under us.
      const bytes = source instanceof Uint8Array ? Uint8Array.from(source) : await collectVerified(digest, source);
      signal.throwIfAborted();
      let pack = lane.pending(digest);
      if (pack === undefined) {
        pack = lane.add({ digest, kind: 'bytes', bytes, compressible: true }, room, true);
        isAdded = true;
      } else lane.hurry(pack);
      await unlessAborted(pack.done, signal);
    } finally {
      if (!isAdded) room[Symbol.dispose]();
    }
  }

  async #storeLarge(
    { reach }: Writer,
    lane: PackLane,
    digest: Digest,
    source: AsyncIterable<Uint8Array> | Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const chunks = source instanceof Uint8Array ? inPieces(source) : source;
    const { head, all } = await peek(verified(digest, chunks, 'DIGEST_MISMATCH'), PROBE_BYTES);
    try {
      const even = sizeOf(digest) < CONTENT_CUT_BYTES && !looksCompressible(head);
      const pieces = even ? evenPieces(all, EVEN_BYTES) : contentPieces(all, CHUNK_SIZES);
      await using upload = await LargeUpload.begin({ ...this.#parts, lane }, reach);
      await upload.store(digest, pieces, signal);
    } catch (error) {
      if (!isFault(error, 'HOLD_LOST')) throw error;
      await this.#parts.epochs.current(true).catch(() => {}); // the next put asks again
      throw new Fault('STORE_UNAVAILABLE', 'The index began another epoch during the upload: begin it again', { cause: error });
    } finally {
      await all.return();
    }
  }
}

/** Budget for what is taken in and not durable yet. */
export function writeBudget(context: PackContext): ByteBudget {
  return new ByteBudget(context.settings.writeBytes);
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.byteLength; start += LARGE_BYTES) yield bytes.subarray(start, start + LARGE_BYTES);
}

/** At least `bytes` from the beginning of a source (or all), and everything that it gives, those included. */
async function peek(source: AsyncGenerator<Uint8Array, void, undefined>, bytes: number) {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < bytes) {
    const next = await source.next();
    if (next.done === true) break;
    chunks.push(Uint8Array.from(next.value)); // the source may write its buffer again
    length += next.value.byteLength;
  }
  const all = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* chunks;
      yield* source;
    } finally {
      await source.return();
    }
  };
  return { head: Buffer.concat(chunks, length), all: all() };
}
