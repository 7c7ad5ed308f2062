import type { FrameIn } from '../packs/frame.ts';

/** What is kept at most. Similar files, such as builds of one program, lie side by side in a tree and share most of their pieces. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

/** The raw bytes of a frame; undefined where it did not come. */
type Coming = Promise<Uint8Array | undefined>;

/**
 * Frames that several large blobs have pieces in, so that each comes once and not once for each of them. Empty as soon as nobody reads a
 * large blob any more.
 */
export class SharedFrames {
  /** In order of use, the least recent first. */
  readonly #kept = new Map<string, { readonly raw: Coming; readonly bytes: number }>();
  #keptBytes = 0;
  #readerCount = 0;

  /** Somebody reads a large blob until this is disposed of. */
  join(): Disposable {
    this.#readerCount += 1;
    return {
      [Symbol.dispose]: () => {
        this.#readerCount -= 1;
        if (this.#readerCount > 0) return;
        this.#kept.clear();
        this.#keptBytes = 0;
      },
    };
  }

  /** A frame that is there or on its way. Never rejects. */
  get(frame: FrameIn): Coming | undefined {
    const key = keyOf(frame);
    const known = this.#kept.get(key);
    if (known === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, known);
    return known.raw;
  }

  /** Keeps a frame that is on its way, if anybody reads. It must not be a view of something larger. */
  add(frame: FrameIn, raw: Coming): void {
    const key = keyOf(frame);
    if (this.#readerCount === 0 || this.#kept.has(key)) return;
    this.#kept.set(key, { raw: raw.catch(() => undefined), bytes: frame.rawBytes });
    this.#keptBytes += frame.rawBytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= bytes;
    }
  }
}

function keyOf({ pack, offset }: FrameIn): string {
  return `${pack}/${offset}`;
}
