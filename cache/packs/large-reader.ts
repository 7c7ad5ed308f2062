import { Fault, isFault } from '../../base/fault.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { BlobPlace } from '../store-index/store-index.ts';
import type { PackContext } from './context.ts';
import type { Locator } from './locator.ts';
import type { Recipes } from './recipes.ts';
import type { Reach, StoredParts } from './stored-part.ts';

const AHEAD_MIN_BYTES = 2 * 1024 * 1024;
const AHEAD_MAX_BYTES = 32 * 1024 * 1024;
/** Pieces that are looked up in one go. */
const LOOK_COUNT = 64;

/** A piece of a large blob, and which of its bytes are wanted. */
type Piece = { readonly digest: Digest; readonly from: number; readonly to: number };

type Blob = { readonly reach: Reach; readonly digest: Digest; readonly place: BlobPlace };

/**
 * Streams large blobs out of their pieces, several of which are under way at once. All readers share the bytes that may be ahead of
 * their consumers, so that many of them need no more memory than few.
 */
export class LargeReader {
  readonly #context: PackContext;
  readonly #locator: Locator;
  readonly #recipes: Recipes;
  readonly #parts: StoredParts;
  #readers = 0;

  constructor(context: PackContext, locator: Locator, recipes: Recipes, parts: StoredParts) {
    this.#context = context;
    this.#locator = locator;
    this.#recipes = recipes;
    this.#parts = parts;
  }

  /** `length` bytes of the blob from `start`; only pieces that hold some of them are read. @throws {Fault} as `BlobStore.get` */
  async *read(blob: Blob, start: number, length: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    this.#readers += 1;
    let isBegun = false;
    try {
      for await (const bytes of this.#ahead(blob, start, length, either)) {
        isBegun = true;
        yield bytes;
      }
    } catch (error) {
      if (!isFault(error, 'BLOB_UNKNOWN')) throw error;
      await this.#parts.forget(blob.reach, blob.digest, blob.place.frame.pack); // it is not whole any more
      const message = `Blob ${blob.digest} is not whole any more: ${error.message}`;
      throw new Fault(isBegun ? 'BLOB_CORRUPT' : 'BLOB_UNKNOWN', message, { cause: error });
    } finally {
      this.#readers -= 1;
      stop.abort(new Fault('CANCELLED', 'The reader has left'));
    }
  }

  async *#ahead(blob: Blob, start: number, length: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const pieces = this.#located(blob, start, start + length, signal);
    const queue: { readonly piece: Piece; readonly bytes: Promise<Uint8Array> }[] = [];
    let aheadBytes = 0;
    let isOver = false;
    for (;;) {
      while (!isOver && aheadBytes < this.#windowBytes()) {
        const next = await pieces.next();
        if (next.done === true) isOver = true;
        else {
          const { piece, place } = next.value;
          const bytes = this.#parts.bytes(blob.reach, piece.digest, place, signal);
          bytes.catch(() => {}); // thrown when it is its turn
          queue.push({ piece, bytes });
          aheadBytes += sizeOf(piece.digest);
        }
      }
      const head = queue.shift();
      if (head === undefined) return;
      const bytes = await head.bytes;
      aheadBytes -= bytes.byteLength;
      yield bytes.subarray(head.piece.from, head.piece.to);
    }
  }

  #windowBytes(): number {
    return Math.min(AHEAD_MAX_BYTES, Math.max(AHEAD_MIN_BYTES, this.#context.settings.aheadBytes / this.#readers));
  }

  async *#located(blob: Blob, start: number, end: number, signal: AbortSignal) {
    let batch: Piece[] = [];
    for await (const piece of this.#pieces(blob, start, end, signal)) {
      if (batch.push(piece) < LOOK_COUNT) continue;
      yield* await this.#look(blob, batch, signal);
      batch = [];
    }
    yield* await this.#look(blob, batch, signal);
  }

  async #look({ reach }: Blob, pieces: readonly Piece[], signal: AbortSignal) {
    const places = await this.#places(
      reach,
      pieces.map(({ digest }) => digest),
      signal,
    );
    return pieces.map((piece, index) => {
      const place = places[index];
      if (place === undefined) throw new Fault('BLOB_UNKNOWN', `its piece ${piece.digest} is gone`);
      return { piece, place };
    });
  }

  async #places(reach: Reach, digests: readonly Digest[], signal: AbortSignal): Promise<readonly (BlobPlace | undefined)[]> {
    const found = await this.#locator.locate(reach.project, reach.scopes, digests, signal);
    return digests.map((digest) => found.get(digest));
  }

  /** The pieces that hold bytes of [start, end), in order. */
  async *#pieces({ reach, digest, place }: Blob, start: number, end: number, signal: AbortSignal): AsyncGenerator<Piece, void, undefined> {
    const recipe = await this.#recipes.ofBlob(reach, digest, place, signal);
    if (recipe.kind === 'parts') {
      yield* overlapping(recipe.parts, start, end);
      return;
    }
    let offset = 0;
    for (const { digest: page, coversBytes } of recipe.pages) {
      if (offset >= end) return;
      if (offset + coversBytes > start) {
        const [at] = await this.#places(reach, [page], signal);
        if (at === undefined) throw new Fault('BLOB_UNKNOWN', `a page of its recipe, ${page}, is gone`);
        const part = await this.#recipes.read(reach, page, at, coversBytes, signal);
        if (part.kind !== 'parts') throw new Fault('BLOB_CORRUPT', `Blob ${digest}: a page of its recipe has pages itself`);
        yield* overlapping(part.parts, start - offset, end - offset);
      }
      offset += coversBytes;
    }
  }
}

/** Those of `parts`, one after the other, that hold bytes of [start, end). */
function* overlapping(parts: readonly Digest[], start: number, end: number): Generator<Piece, void, undefined> {
  let offset = 0;
  for (const digest of parts) {
    const size = sizeOf(digest);
    if (offset >= end) return;
    if (offset + size > start) yield { digest, from: Math.max(0, start - offset), to: Math.min(size, end - offset) };
    offset += size;
  }
}
