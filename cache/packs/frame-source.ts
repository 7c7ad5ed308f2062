import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import { ByteBudget } from '../byte-budget.ts';
import type { Frame } from '../store-index/store-index.ts';
import { AdaptiveQueue } from './adaptive-queue.ts';
import { BytesLru } from './bytes-lru.ts';
import type { PackContext } from './context.ts';
import { decodeFrame } from './frame.ts';
import { hedgedGet } from './hedged-get.ts';
import { packKey } from './names.ts';
import { ReadPace } from './read-pace.ts';
import { stretches } from './stretches.ts';
import { inTries, unlessAborted } from './tries.ts';

/** Most bytes of one request: enough for an endpoint's full speed, and few enough that one reader has several under way. */
const RANGE_BYTES = 8 * 1024 * 1024;

type Job = {
  readonly frame: Frame;
  readonly key: string;
  readonly bytes: Promise<Uint8Array>;
  readonly settle: (bytes: Promise<Uint8Array>) => void;
  /** Readers that still want it. */
  waiters: number;
  range: Range | undefined;
};

type Range = { readonly jobs: readonly Job[]; readonly stop: AbortController };

/**
 * Frames, decoded, for all readers of a process: what several want is fetched once, what lies close together in a pack comes with one
 * request, and the latest are kept. Who may see a frame is not asked here: whoever asks has looked it up in the index.
 */
export class FrameSource {
  readonly #context: PackContext;
  readonly #prng: Prng;
  readonly #queue: AdaptiveQueue;
  readonly #budget: ByteBudget;
  readonly #kept: BytesLru;
  readonly #pace: ReadPace;
  readonly #jobs = new Map<string, Job>();
  #waiting: Job[] = [];

  constructor(context: PackContext, prng: Prng) {
    const { getCountMin, getCountMax, fetchBytes, cacheBytes } = context.settings;
    this.#context = context;
    this.#prng = prng;
    this.#queue = new AdaptiveQueue(getCountMin, getCountMax);
    this.#budget = new ByteBudget(fetchBytes);
    this.#kept = new BytesLru(cacheBytes);
    this.#pace = new ReadPace(context.env.clock);
  }

  /** How many requests run at once at most, at the moment. */
  get width(): number {
    return this.#queue.width;
  }

  /**
   * The bytes of a frame, which must not be changed. `fresh` reads them from the store whatever is kept.
   * @throws {Fault} OBJECT_UNKNOWN where its pack is gone; BLOB_CORRUPT, STORE_UNAVAILABLE
   */
  async frame(frame: Frame, { fresh = false }: { readonly fresh?: boolean }, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const key = `${frame.pack}/${frame.offset}`;
    if (fresh) this.#kept.remove(key);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#context.counters.framesCached += 1;
      return kept;
    }
    const job = this.#jobs.get(key) ?? this.#ask(frame, key);
    job.waiters += 1;
    try {
      return await unlessAborted(job.bytes, signal);
    } finally {
      job.waiters -= 1;
      if (job.waiters === 0) this.#leave(job);
    }
  }

  #ask(frame: Frame, key: string): Job {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    promise.catch(() => {}); // whoever waits hears of it
    const job: Job = { frame, key, bytes: promise, settle: resolve, waiters: 0, range: undefined };
    this.#jobs.set(key, job);
    if (this.#waiting.push(job) === 1) void this.#dispatch();
    return job;
  }

  /** Nobody wants it any more: a request of which nobody wants anything ends. */
  #leave(job: Job): void {
    if (this.#jobs.get(job.key) === job) this.#jobs.delete(job.key);
    if (job.range?.jobs.every(({ waiters }) => waiters === 0) === true) job.range.stop.abort();
  }

  async #dispatch(): Promise<void> {
    await nextTurn(); // all that is asked for in this turn may lie close together
    const wanted = this.#waiting.filter(({ waiters }) => waiters > 0);
    this.#waiting = [];
    for (const jobs of stretches(wanted, RANGE_BYTES)) {
      const range: Range = { jobs, stop: new AbortController() };
      for (const job of jobs) job.range = range;
      void this.#fetch(range);
    }
  }

  async #fetch({ jobs, stop }: Range): Promise<void> {
    const { objects, counters, settings, env, life } = this.#context;
    const [first] = jobs;
    const last = jobs.at(-1);
    if (first === undefined || last === undefined) return;
    const offset = first.frame.offset;
    const length = last.frame.offset + last.frame.storedBytes - offset;
    const signal = AbortSignal.any([stop.signal, life]);
    const context = { objects, counters, clock: env.clock, pace: this.#pace, hedgeMs: settings.hedgeMs };
    const stretch = { key: packKey(first.frame.pack), offset, length };
    try {
      const rawBytes = jobs.reduce((sum, { frame }) => sum + frame.rawBytes, 0);
      using _ = await this.#budget.take(length + rawBytes, signal);
      const bytes = await inTries(settings.triesCount, () => this.#queue.run(() => hedgedGet(context, stretch, signal), signal), {
        prng: this.#prng,
        signal,
        onRetry: () => (counters.rangesRetried += 1),
      });
      await Promise.allSettled(jobs.map((job) => this.#finish(job, bytes.subarray(job.frame.offset - offset), jobs.length > 1)));
    } catch (error) {
      const fault = error instanceof Fault && error.code === 'OUT_OF_RANGE' ? cutOff(first.frame, error) : error;
      for (const job of jobs) this.#end(job, Promise.reject(fault));
    }
  }

  /** `from` begins with the frame. `isShared`: other frames lie in the same buffer, which shall not be kept for one of them. */
  async #finish(job: Job, from: Uint8Array, isShared: boolean): Promise<void> {
    const { frame } = job;
    const stored = from.subarray(0, frame.storedBytes);
    const bytes = stored.byteLength < frame.storedBytes ? Promise.reject(cutOff(frame)) : decodeFrame(frame, stored);
    try {
      const raw = await bytes;
      const own = isShared && frame.encoding === 'raw' ? Uint8Array.from(raw) : raw;
      this.#kept.add(job.key, own);
      this.#end(job, Promise.resolve(own));
    } catch (error) {
      this.#end(job, Promise.reject(error));
    }
  }

  #end(job: Job, bytes: Promise<Uint8Array>): void {
    bytes.catch(() => {}); // also where nobody waits any more
    job.settle(bytes);
    if (this.#jobs.get(job.key) === job) this.#jobs.delete(job.key);
  }
}

function cutOff(frame: Frame, cause?: unknown): Fault {
  const message = `Pack ${frame.pack} ends before its frame at ${frame.offset}`;
  return new Fault('BLOB_CORRUPT', message, cause === undefined ? {} : { cause });
}
