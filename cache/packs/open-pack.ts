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
};

/** A pack that takes parts in the order in which they come, and compresses full frames meanwhile. */
export class OpenPack {
  readonly rows: FooterRow[] = [];
  /** What the parts keep of the budget for bytes in memory; to be given back when `done` settles. */
  readonly rooms: Disposable[] = [];
  /** Settles once the pack is durable and known to the index, or is given up. */
  readonly done: Promise<void>;
  readonly settle: (outcome: { readonly error: unknown } | undefined) => void;
  readonly #level: number;
  readonly #frames: Promise<EncodedFrame>[] = [];
  #parts: Uint8Array[] = [];
  #openBytes = 0;
  #openCompressible = true;
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
  add({ digest, kind, bytes, compressible }: Part, room: Disposable, onFrame: () => void): void {
    if (this.#openBytes > 0 && compressible !== this.#openCompressible) this.#seal(onFrame);
    this.rows.push({ digest, kind, frame: this.#frames.length, offset: this.#openBytes, length: bytes.byteLength });
    this.rooms.push(room);
    this.#parts.push(bytes);
    this.#openBytes += bytes.byteLength;
    this.#openCompressible = compressible;
    this.#weightBytes += bytes.byteLength;
    if (this.#openBytes >= FRAME_BYTES) this.#seal(onFrame);
  }

  /** All frames; nothing may be added after. */
  async frames(): Promise<readonly EncodedFrame[]> {
    if (this.#openBytes > 0) this.#seal(() => {});
    return await Promise.all(this.#frames);
  }

  #seal(onFrame: () => void): void {
    const [first] = this.#parts;
    const raw = this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts, this.#openBytes);
    const isSure = !this.#openCompressible;
    if (isSure) this.#storedBytes += raw.byteLength;
    const encoded = encodeFrame(raw, { level: this.#level, try: !isSure });
    this.#frames.push(encoded);
    this.#parts = [];
    this.#openBytes = 0;
    encoded
      .then(({ rawBytes, storedBytes }) => {
        if (!isSure) this.#storedBytes += storedBytes;
        this.#weightBytes += storedBytes - rawBytes;
        onFrame();
      })
      .catch(() => {}); // `frames` throws it
  }
}
