import type { Digest } from '../digest.ts';
import { PACK_ROWS_MAX, type FooterRow } from './format.ts';
import { encodeFrame, type EncodedFrame } from './frame.ts';

/** Raw size at which a frame is closed: 6 % less compression than with 4 MiB, and a quarter of what is read in vain. */
const FRAME_BYTES = 1024 * 1024;

/** Something that goes into a pack as a whole: a small blob, a piece of a large one, or a recipe. */
export type Part = {
  readonly digest: Digest;
  readonly kind: 'bytes' | 'recipe';
  readonly bytes: Uint8Array;
  /** Whether compressing is worth trying. */
  readonly compressible: boolean;
  /** The upload that it is a piece of. No frame has pieces of two: whoever reads one of them would fetch the other along. */
  readonly of?: object;
};

/** A frame that takes parts. */
type OpenFrame = { readonly index: number; readonly parts: Uint8Array[]; bytes: number; readonly compressible: boolean };

/** A pack that takes parts in the order in which they come, and compresses full frames meanwhile. */
export class OpenPack {
  readonly rows: FooterRow[] = [];
  /** What the parts keep of the budget for bytes in memory; to be given back when `done` settles. */
  readonly rooms: Disposable[] = [];
  /** Settles once the pack is durable and known to the index, or is given up. */
  readonly done: Promise<void>;
  readonly settle: (outcome: { readonly error: unknown } | undefined) => void;
  readonly #level: number;
  /** In the order in which they were begun; undefined while it takes parts. */
  readonly #frames: (Promise<EncodedFrame> | undefined)[] = [];
  /** By the upload whose pieces they take; whole blobs go into the one of undefined. */
  readonly #open = new Map<object | undefined, OpenFrame>();
  /** Stored bytes of finished frames and raw bytes of the others: an upper bound of its size. */
  #weightBytes = 0;
  #storedBytes = 0;
  #isSettled = false;

  constructor(level: number) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {}); // whoever waits hears of it
    this.done = promise;
    this.settle = (outcome) => {
      this.#isSettled = true;
      if (outcome === undefined) resolve();
      else reject(outcome.error);
    };
    this.#level = level;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  get weightBytes(): number {
    return this.#weightBytes;
  }

  get isFull(): boolean {
    return this.rows.length >= PACK_ROWS_MAX;
  }

  /** `onFrame` hears when another frame has got its stored size. */
  add({ digest, kind, bytes, compressible, of }: Part, room: Disposable, onFrame: () => void): void {
    const known = this.#open.get(of);
    if (known !== undefined && known.compressible !== compressible) this.#seal(of, known, onFrame);
    const frame = this.#open.get(of) ?? this.#begin(of, compressible);
    this.rows.push({ digest, kind, frame: frame.index, offset: frame.bytes, length: bytes.byteLength });
    this.rooms.push(room);
    frame.parts.push(bytes);
    frame.bytes += bytes.byteLength;
    this.#weightBytes += bytes.byteLength;
    if (frame.bytes >= FRAME_BYTES) this.#seal(of, frame, onFrame);
  }

  /** All frames; nothing may be added after. */
  async frames(): Promise<readonly EncodedFrame[]> {
    for (const [of, frame] of this.#open) this.#seal(of, frame, () => {});
    return await Promise.all(this.#frames.filter((frame) => frame !== undefined)); // all are sealed
  }

  #begin(of: object | undefined, compressible: boolean): OpenFrame {
    const frame = { index: this.#frames.length, parts: [], bytes: 0, compressible };
    this.#frames.push(undefined);
    this.#open.set(of, frame);
    return frame;
  }

  #seal(of: object | undefined, { index, parts, bytes, compressible }: OpenFrame, onFrame: () => void): void {
    this.#open.delete(of);
    const [first] = parts;
    const raw = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, bytes);
    const isSure = !compressible;
    if (isSure) this.#storedBytes += raw.byteLength;
    const encoded = encodeFrame(raw, { level: this.#level, try: !isSure });
    this.#frames[index] = encoded;
    encoded
      .then(({ rawBytes, storedBytes }) => {
        if (!isSure) this.#storedBytes += storedBytes;
        this.#weightBytes += storedBytes - rawBytes;
        onFrame();
      })
      .catch(() => {}); // `frames` throws it
  }
}
