import { Fault } from '../base/fault.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

type Need =
  | { readonly kind: 'header' | 'block-header' }
  | { readonly kind: 'skip'; readonly bytes: number; readonly next: 'block-header' | 'end' };

/**
 * Finds where zstd frames end, without decompressing: decoders stop at the end of the first one, and a stream may hold
 * many. Feed it the bytes in any pieces.
 */
export class FrameScanner {
  #need: Need = { kind: 'header' };
  /** The beginning of a header that is not all there. */
  #pending: Buffer = Buffer.alloc(0);
  #checksumBytes = 0;
  #inFrame = false;

  /** Whether the bytes so far end in the middle of a frame. */
  get inFrame(): boolean {
    return this.#inFrame || this.#pending.byteLength > 0;
  }

  /** Offsets in `chunk` just after the last byte of each frame that ends in it. @throws {Fault} BAD_REQUEST for other data. */
  feed(chunk: Uint8Array): number[] {
    const ends: number[] = [];
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#need.kind === 'skip') {
        const step = Math.min(this.#need.bytes, chunk.byteLength - at);
        at += step;
        this.#skipped(this.#need.bytes - step, ends, at);
        continue;
      }
      // Somebody else's data may be all headers: those that are not cut in two are read where they are.
      const whole = this.#pending.byteLength === 0 ? this.#headerSize(chunk, at) : Number.POSITIVE_INFINITY;
      if (at + whole <= chunk.byteLength) {
        this.#need = this.#after(chunk, at);
        at += whole;
      } else {
        const taken = Math.min(this.#headerSize(this.#pending, 0) - this.#pending.byteLength, chunk.byteLength - at);
        this.#pending = Buffer.concat([this.#pending, chunk.subarray(at, at + taken)]);
        at += taken;
        if (this.#pending.byteLength < this.#headerSize(this.#pending, 0)) continue;
        this.#need = this.#after(this.#pending, 0);
        this.#pending = Buffer.alloc(0);
      }
      if (this.#need.kind === 'skip') this.#skipped(this.#need.bytes, ends, at);
    }
    return ends;
  }

  /** Bytes of the header that begins at `at`, as far as the bytes there tell: more than those where they are too few. */
  #headerSize(bytes: Uint8Array, at: number): number {
    if (this.#need.kind === 'block-header') return 3;
    const there = bytes.byteLength - at;
    if (there < 4) return 4;
    const magic = number(bytes, at, 4);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return 8;
    if (magic !== MAGIC) throw new Fault('BAD_REQUEST', 'The data is not zstd: a frame begins with other bytes');
    const descriptor = bytes[at + 4];
    if (descriptor === undefined) return 5;
    const single = (descriptor & 0x20) !== 0;
    const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    return 5 + (single ? 0 : 1) + dictionary + contentSize;
  }

  /** What comes after the header at `at`. */
  #after(bytes: Uint8Array, at: number): Need {
    if (this.#need.kind === 'block-header') {
      const bits = number(bytes, at, 3);
      const type = (bits >> 1) & 3;
      if (type === 3) throw new Fault('BAD_REQUEST', 'The zstd data is damaged: a block of unknown type');
      const size = type === 1 ? 1 : bits >> 3;
      const last = (bits & 1) !== 0;
      return { kind: 'skip', bytes: size + (last ? this.#checksumBytes : 0), next: last ? 'end' : 'block-header' };
    }
    this.#inFrame = true;
    if (number(bytes, at, 4) !== MAGIC) return { kind: 'skip', bytes: number(bytes, at + 4, 4), next: 'end' };
    this.#checksumBytes = ((bytes[at + 4] ?? 0) & 4) === 0 ? 0 : 4;
    return { kind: 'block-header' };
  }

  #skipped(left: number, ends: number[], at: number): void {
    if (this.#need.kind !== 'skip') return;
    if (left > 0) {
      this.#need = { ...this.#need, bytes: left };
      return;
    }
    if (this.#need.next === 'end') {
      ends.push(at);
      this.#inFrame = false;
      this.#need = { kind: 'header' };
    } else this.#need = { kind: 'block-header' };
  }
}

/** The number that so many bytes are, the lowest first. */
function number(bytes: Uint8Array, at: number, count: 3 | 4): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return count === 3 ? low : (low | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}
