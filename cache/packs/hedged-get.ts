import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { PackCounters } from './counters.ts';
import type { ReadPace } from './read-pace.ts';

/** What is counted of reads. */
export type RangeCounters = Pick<PackCounters, 'ranges' | 'rangeBytes' | 'hedges' | 'hedgesWon'>;

export type HedgeContext = {
  readonly objects: Pick<ObjectStore, 'get'>;
  readonly counters: RangeCounters;
  readonly clock: Clock;
  /** Of all who read from the same endpoint over the same link. */
  readonly pace: ReadPace;
  readonly hedgeMs: number;
};

export type Stretch = { readonly key: string; readonly offset: number; readonly length: number };

/**
 * The bytes of a stretch of an object, fewer where the object ends before. When none has come for longer than is usual (at the start, or in
 * the middle: a stalled connection), a second request for the same is made, and whichever ends first gives the answer. Where others get
 * bytes meanwhile the link is shared rather than broken, and it waits for `hedgeMs` in any case; and second requests have a bound in bytes.
 * @throws {Fault} as `ObjectStore.get`
 */
export async function hedgedGet(context: HedgeContext, stretch: Stretch, signal: AbortSignal): Promise<Buffer<ArrayBuffer>> {
  const { counters } = context;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  using silence = new Silence(context, stretch.length);
  const first = readStretch(context, stretch, either, (count) => {
    silence.broken();
    context.pace.bytesCame(count);
  });
  const second = silence.tooLong.then(async () => {
    counters.hedges += 1;
    return await readStretch(context, stretch, either, () => {});
  });
  try {
    const hedged = second.then((bytes) => ({ bytes, won: true }));
    const { bytes, won } = await Promise.race([
      first.then(
        (bytes) => ({ bytes, won: false }),
        // The first one failed: where a second one runs, that one decides.
        async (error: unknown) => {
          if (!silence.isTooLong) throw error;
          return await hedged;
        },
      ),
      // The second one alone failing decides nothing.
      hedged.catch(async () => ({ bytes: await first, won: false })),
    ]);
    if (won) counters.hedgesWon += 1;
    return bytes;
  } finally {
    stop.abort();
    first.catch(() => {});
    second.catch(() => {});
  }
}

/** Watches over one request, and says when a second one is worth its bytes. */
class Silence implements Disposable {
  readonly tooLong: Promise<void>;
  isTooLong = false;
  readonly #context: HedgeContext;
  readonly #bytes: number;
  readonly #end: () => void;
  #since: number;
  #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(context: HedgeContext, bytes: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.tooLong = promise;
    this.#end = resolve;
    this.#context = context;
    this.#bytes = bytes;
    this.#since = context.clock.monotonic();
    this.#timer = this.#lookIn(context.pace.slowMs(context.hedgeMs));
  }

  /** A byte has come. */
  broken(): void {
    this.#since = this.#context.clock.monotonic();
    this.#timer.refresh();
  }

  #lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#look(), Math.max(1, ms));
  }

  async #look(): Promise<void> {
    const { pace, hedgeMs, clock } = this.#context;
    const silentSince = this.#since;
    // Timers come before bytes: after a long turn of ours, what the kernel has had for long is seen in the next two.
    await nextTurn();
    await nextTurn();
    if (this.#isOver) return;
    const leftMs = this.#since + hedgeMs - clock.monotonic();
    if (this.#since !== silentSince) this.#timer = this.#lookIn(pace.slowMs(hedgeMs));
    else if (leftMs > 0 && pace.cameSince(this.#since)) this.#timer = this.#lookIn(leftMs);
    else if (!pace.takeSpare(this.#bytes)) this.#timer = this.#lookIn(hedgeMs);
    else {
      this.isTooLong = true;
      this.#end();
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

async function readStretch(
  context: HedgeContext,
  stretch: Stretch,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): Promise<Buffer<ArrayBuffer>> {
  const { objects, counters, clock, pace } = context;
  const bytes = Buffer.allocUnsafeSlow(stretch.length);
  const startedAt = clock.monotonic();
  counters.ranges += 1;
  let length = 0;
  for await (const chunk of objects.get(stretch.key, { offset: stretch.offset, length: stretch.length }, signal)) {
    if (length === 0) pace.firstByte(clock.monotonic() - startedAt);
    onBytes(chunk.byteLength);
    bytes.set(chunk, length); // an object store gives no more than it was asked for
    length += chunk.byteLength;
    counters.rangeBytes += chunk.byteLength;
  }
  return bytes.subarray(0, length);
}
