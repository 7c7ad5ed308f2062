import { Fault } from '../../base/fault.ts';
import type { ByteBudget } from '../byte-budget.ts';
import { digestOf, sizeOf, type Digest } from '../digest.ts';
import type { PackContext } from './context.ts';
import { looksCompressible } from './frame.ts';
import type { Locator } from './locator.ts';
import type { OpenPack, Part } from './open-pack.ts';
import type { PackLane } from './pack-lane.ts';
import { encodeRecipe, type RecipePage } from './recipe.ts';
import type { Reach } from './stored-part.ts';
import { unlessAborted } from './tries.ts';
import { UploadHold, type EpochWatch } from './upload-hold.ts';

/** Bytes of pieces that are looked up in one go. */
const LOOK_BYTES = 2 * 1024 * 1024;

export type UploadParts = {
  readonly context: PackContext;
  readonly lane: PackLane;
  readonly locator: Locator;
  readonly budget: ByteBudget;
  readonly epochs: EpochWatch;
};

/**
 * One large blob on its way into the store: pieces that are there are kept there, the others go into packs while the source is
 * read, and the recipe, which makes the blob visible, goes last, when every piece is durable. Memory: a few MiB, and the packs under way,
 * which the budget bounds.
 */
export class LargeUpload implements AsyncDisposable {
  readonly #parts: UploadParts;
  readonly #reach: Reach;
  readonly #hold: UploadHold;
  /** Packs that hold pieces of ours and are not known to be durable, each with one of these. */
  readonly #unsure = new Map<OpenPack, Digest>();
  readonly #pages: RecipePage[] = [];
  #recipe: Digest[] = [];

  private constructor(parts: UploadParts, reach: Reach, hold: UploadHold) {
    this.#parts = parts;
    this.#reach = reach;
    this.#hold = hold;
  }

  static async begin(parts: UploadParts, reach: Reach): Promise<LargeUpload> {
    return new LargeUpload(parts, reach, await UploadHold.begin(parts.context, parts.epochs));
  }

  /** @throws {Fault} what `pieces` throws; STORE_UNAVAILABLE, STORE_FULL, HOLD_LOST */
  async store(digest: Digest, pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    let batch: Uint8Array[] = [];
    let batchBytes = 0;
    for await (const piece of pieces) {
      batch.push(piece);
      batchBytes += piece.byteLength;
      if (batchBytes < LOOK_BYTES) continue;
      await this.#take(batch, signal);
      batch = [];
      batchBytes = 0;
    }
    await this.#take(batch, signal);
    await this.#finish(digest, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#hold[Symbol.asyncDispose]();
  }

  async #take(pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#settle((pack) => pack.isSettled, signal);
    const { context, lane, locator } = this.#parts;
    const digests = pieces.map((piece) => digestOf(piece));
    const unknown = digests.filter((piece) => lane.pending(piece) === undefined);
    const found = await locator.locateHeld(this.#reach.project, this.#reach.scopes, unknown, this.#hold.name(), signal);
    // Of a file that is part archive and part text each stretch is looked at for itself.
    const [first] = pieces;
    const compressible = first !== undefined && looksCompressible(first);
    for (const [index, bytes] of pieces.entries()) {
      const piece = digests[index] ?? digestOf(bytes);
      if (found.get(piece)?.kind === 'bytes') {
        context.counters.piecesReused += 1;
        context.counters.pieceBytesReused += bytes.byteLength;
      } else await this.#add({ digest: piece, kind: 'bytes', bytes, compressible, of: this }, signal);
      this.#recipe.push(piece);
      if (this.#recipe.length >= context.settings.recipeParts) await this.#turnPage(signal);
    }
  }

  async #turnPage(signal: AbortSignal): Promise<void> {
    const bytes = encodeRecipe({ kind: 'parts', parts: this.#recipe });
    const digest = digestOf(bytes);
    this.#pages.push({ digest, coversBytes: this.#recipe.reduce((sum, part) => sum + sizeOf(part), 0) });
    this.#recipe = [];
    await this.#add({ digest, kind: 'bytes', bytes, compressible: false }, signal);
  }

  async #add(part: Part, signal: AbortSignal): Promise<void> {
    const { lane, budget } = this.#parts;
    const room = await budget.take(part.bytes.byteLength, signal);
    const pending = lane.pending(part.digest);
    if (pending !== undefined) room[Symbol.dispose]();
    const pack = pending ?? lane.add(part, room, false);
    if (!this.#unsure.has(pack)) this.#unsure.set(pack, part.digest);
  }

  /** The recipe goes into the pack that is open, once all pieces are durable but those in that very pack. */
  async #finish(digest: Digest, signal: AbortSignal): Promise<void> {
    const { lane, budget } = this.#parts;
    if (this.#pages.length > 0 && this.#recipe.length > 0) await this.#turnPage(signal);
    const bytes = encodeRecipe(this.#pages.length > 0 ? { kind: 'pages', pages: this.#pages } : { kind: 'parts', parts: this.#recipe });
    const room = await budget.take(bytes.byteLength, signal);
    let isAdded = false;
    try {
      do await this.#settle((pack) => pack !== lane.open, signal);
      while ([...this.#unsure.keys()].some((pack) => pack !== lane.open));
      this.#hold.check();
      const pack = lane.add({ digest, kind: 'recipe', bytes, compressible: false }, room, true);
      isAdded = true;
      await unlessAborted(pack.done, signal);
    } finally {
      if (!isAdded) room[Symbol.dispose]();
    }
  }

  /** Waits for those of the packs that `which` says, and has them held. */
  async #settle(which: (pack: OpenPack) => boolean, signal: AbortSignal): Promise<void> {
    const waited: Digest[] = [];
    for (const [pack, piece] of [...this.#unsure]) {
      if (!which(pack)) continue;
      await unlessAborted(pack.done, signal);
      this.#unsure.delete(pack);
      waited.push(piece);
    }
    if (waited.length === 0) return;
    const found = await this.#parts.locator.locateHeld(this.#reach.project, this.#reach.scopes, waited, this.#hold.name(), signal);
    if (waited.every((piece) => found.has(piece))) return;
    throw new Fault('STORE_UNAVAILABLE', 'Parts of the upload that were stored are gone: begin it again');
  }
}
