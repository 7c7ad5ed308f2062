import type { ObjectStore } from '../objects/object-store.ts';
import type { Clock } from '../../base/clock.ts';
import type { PackCounters } from './counters.ts';

const SAMPLES = 256;
/** From so many samples on, the endpoint's own times say what is slow. */
const ENOUGH_SAMPLES = 64;
const LEAST_HEDGE_MS = 50;

/** Times to the first byte, of the latest requests. */
export class FirstByteTimes {
  readonly #samples = new Float64Array(SAMPLES);
  #count = 0;
  #p99 = Number.POSITIVE_INFINITY;

  add(ms: number): void {
    this.#samples[this.#count % SAMPLES] = ms;
    this.#count += 1;
    if (this.#count % 32 !== 0 || this.#count < ENOUGH_SAMPLES) return;
    const sorted = this.#samples.slice(0, Math.min(this.#count, SAMPLES)).toSorted();
    this.#p99 = sorted[Math.floor(sorted.length * 0.99)] ?? this.#p99;
  }

  /** After how long without a byte a request is slow: 99 of 100 were not, and never more than `mostMs`. */
  slowMs(mostMs: number): number {
    return Math.min(mostMs, Math.max(LEAST_HEDGE_MS, this.#p99));
  }
}

/** What is counted of reads. */
export type RangeCounters = Pick<PackCounters, 'ranges' | 'rangeBytes' | 'hedges' | 'hedgesWon'>;

export type HedgeContext = {
  readonly objects: Pick<ObjectStore, 'get'>;
  readonly counters: RangeCounters;
  readonly clock: Clock;
  readonly times: FirstByteTimes;
  readonly hedgeMs: number;
};

export type Stretch = { readonly key: string; readonly offset: number; readonly length: number };

/**
 * The bytes of a stretch of an object, fewer where the object ends before. When none has come for longer than is usual (at the start, or in
 * the middle: a stalled connection), a second request for the same is made, and whichever ends first gives the answer.
 * @throws {Fault} as `ObjectStore.get`
 */
export async function hedgedGet(context: HedgeContext, stretch: Stretch, signal: AbortSignal): Promise<Buffer> {
  const { counters, times } = context;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const slow = Promise.withResolvers<void>();
  const slowMs = times.slowMs(context.hedgeMs);
  const timer = setTimeout(() => slow.resolve(), slowMs);
  const first = readStretch(context, stretch, either, () => timer.refresh());
  const second = slow.promise.then(async () => {
    counters.hedges += 1;
    const bytes = await readStretch(context, stretch, either, () => {});
    return bytes;
  });
  try {
    const hedged = second.then((bytes) => ({ bytes, won: true }));
    const { bytes, won } = await Promise.race([
      first.then(
        (bytes) => ({ bytes, won: false }),
        // The first one failed: where a second one runs, that one decides.
        async (error: unknown) => {
          if (!(await isResolved(slow.promise))) throw error;
          return await hedged;
        },
      ),
      // The second one alone failing decides nothing.
      hedged.catch(async () => ({ bytes: await first, won: false })),
    ]);
    if (won) counters.hedgesWon += 1;
    return bytes;
  } finally {
    clearTimeout(timer);
    stop.abort();
    first.catch(() => {});
    second.catch(() => {});
  }
}

async function readStretch(context: HedgeContext, stretch: Stretch, signal: AbortSignal, onBytes: () => void): Promise<Buffer> {
  const { objects, counters, clock, times } = context;
  const bytes = Buffer.allocUnsafeSlow(stretch.length);
  const startedAt = clock.monotonic();
  counters.ranges += 1;
  let length = 0;
  for await (const chunk of objects.get(stretch.key, { offset: stretch.offset, length: stretch.length }, signal)) {
    if (length === 0) times.add(clock.monotonic() - startedAt);
    onBytes();
    bytes.set(chunk, length); // an object store gives no more than it was asked for
    length += chunk.byteLength;
    counters.rangeBytes += chunk.byteLength;
  }
  return bytes.subarray(0, length);
}

async function isResolved(promise: Promise<void>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), Promise.resolve(false)]);
}
