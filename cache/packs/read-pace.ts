import type { Clock } from '../../base/clock.ts';

const SAMPLES = 256;
/** From so many samples on, the endpoint's own times say what is slow. */
const ENOUGH_SAMPLES = 64;
const LEAST_SLOW_MS = 50;

/** What second requests may add to the bytes that come: so much of them, and so many to begin with and at most at once. */
const SPARE_SHARE = 0.05;
const SPARE_BYTES = 16 * 1024 * 1024;

/** How reading from one endpoint goes for all requests together: what is slow, whether bytes come at all, what a second try may cost. */
export class ReadPace {
  readonly #clock: Clock;
  readonly #samples = new Float64Array(SAMPLES);
  #count = 0;
  #p99 = Number.POSITIVE_INFINITY;
  #cameAt = Number.NEGATIVE_INFINITY;
  #spareBytes = SPARE_BYTES;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time to the first byte of a request. */
  firstByte(ms: number): void {
    this.#samples[this.#count % SAMPLES] = ms;
    this.#count += 1;
    if (this.#count % 32 !== 0 || this.#count < ENOUGH_SAMPLES) return;
    const sorted = this.#samples.slice(0, Math.min(this.#count, SAMPLES)).toSorted();
    this.#p99 = sorted[Math.floor(sorted.length * 0.99)] ?? this.#p99;
  }

  /** After how long without a byte a request is slow: 99 of 100 were not, and never more than `mostMs`. */
  slowMs(mostMs: number): number {
    return Math.min(mostMs, Math.max(LEAST_SLOW_MS, this.#p99));
  }

  /** Bytes that a first request brought. */
  bytesCame(count: number): void {
    this.#cameAt = this.#clock.monotonic();
    this.#spareBytes = Math.min(SPARE_BYTES, this.#spareBytes + count * SPARE_SHARE);
  }

  /** Whether any request got bytes after that time (monotonic): then the link works, and who gets none may only have to wait. */
  cameSince(at: number): boolean {
    return this.#cameAt > at;
  }

  /** Takes `bytes` for a second request, where so many are left. */
  takeSpare(bytes: number): boolean {
    if (bytes > this.#spareBytes) return false;
    this.#spareBytes -= bytes;
    return true;
  }
}
