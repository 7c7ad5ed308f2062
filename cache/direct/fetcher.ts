import { randomInt } from 'node:crypto';
import { openBreaker, type Breaker, type BreakerView } from '../../base/breaker.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { prngFrom, type Prng } from '../../base/prng.ts';
import { ByteBudget } from '../byte-budget.ts';
import { sizeOf } from '../digest.ts';
import type { BulkBlob } from '../layer/bulk-source.ts';
import { AdaptiveQueue } from '../packs/adaptive-queue.ts';
import { decodeFrame } from '../packs/frame.ts';
import { hedgedGet } from '../packs/hedged-get.ts';
import { ReadPace } from '../packs/read-pace.ts';
import { inTries } from '../packs/tries.ts';
import { verifyBytes } from '../verify.ts';
import { newDirectCounters, type DirectCounters } from './counters.ts';
import type { FrameToRead } from './plan.ts';
import { SharedFrames } from './shared-frames.ts';
import { openDirectUploads, type DirectUploads, type UploadSettings } from './uploads.ts';
import { openUrlObjects, type UrlObjects } from './url-objects.ts';

const MIB = 1024 * 1024;

export type DirectSettings = {
  /** Bounds of the number of requests at once. */
  readonly getCountMin: number;
  readonly getCountMax: number;
  /** Most stored bytes of one request. */
  readonly rangeBytes: number;
  /** Most bytes, stored and raw, that are under way or wait to be taken, over all who restore. */
  readonly fetchBytes: number;
  /** How long no byte may come before a second request for the same bytes is made, where the endpoint's own times do not say less. */
  readonly hedgeMs: number;
  readonly triesCount: number;
  readonly connectMs: number;
  readonly answerMs: number;
  readonly stallMs: number;
  /** For how long the bucket is left alone when it cannot be reached: the first time, and at most. */
  readonly awayMs: { readonly initial: number; readonly max: number };
};

/** Ranges are small, so that the budget lets as many requests run at once as one connection's speed asks for. */
export const DIRECT_SETTINGS: DirectSettings = {
  getCountMin: 8,
  getCountMax: 32,
  rangeBytes: 2 * MIB,
  fetchBytes: 128 * MIB,
  hedgeMs: 2_000,
  triesCount: 2,
  connectMs: 3_000,
  answerMs: 5_000,
  stallMs: 5_000,
  awayMs: { initial: 60_000, max: 600_000 },
};

/** Requests in a row that fail before the bucket counts as out of reach. */
const FAILURES_IN_ROW = 4;

/** Frames that one request brings, and until when its URL works. */
export type StretchToRead = { readonly frames: readonly FrameToRead[]; readonly worksUntil: number };

/** Whether blobs are hashed as they come, or by whoever asked, as a part of something larger. */
export type PieceCheck = 'verified' | 'as-they-are';

export type FetchOptions = {
  /** Whether the blobs are to have their digests. @default verified */
  readonly check?: PieceCheck;
  /** What others have fetched is taken from there, and what is fetched is left there. @default neither */
  readonly shared?: SharedFrames;
};

/** The bytes of a frame; undefined where it did not come. */
type Raw = Uint8Array | undefined;

/** Reads from the bucket by URLs, for all who restore on this agent: one bound for memory, and one for requests. */
export interface DirectFetcher extends AsyncDisposable {
  readonly settings: DirectSettings;
  readonly counters: DirectCounters;
  /** What goes the other way. */
  readonly uploads: DirectUploads;
  /** Room for what is fetched, taken before `fetch` and given back when its blobs were taken. */
  readonly budget: ByteBudget;
  /** What readers of large blobs have in common. */
  readonly shared: SharedFrames;
  /** Whether the bucket was reached the last time. */
  readonly isReachable: boolean;
  /** Whether it is worth trying now: where it could not be reached, one request now and then finds out whether it can be again. */
  readonly mayTry: boolean;
  /** Whether URLs that work until then (by the monotonic clock) have ended. */
  hasEnded(worksUntil: number): boolean;
  /** The stored bytes from the first frame to the last one, or as many as came; undefined where none did. @throws as `fetch` */
  read(stretch: StretchToRead, signal: AbortSignal): Promise<Buffer<ArrayBuffer> | undefined>;
  /**
   * Those of the frames' blobs that came and have their digests, in order; they are views of larger buffers. What did not come, for
   * whatever reason, is left out. @throws the reason of `signal` only
   */
  fetch(stretch: StretchToRead, signal: AbortSignal, options?: FetchOptions): Promise<readonly BulkBlob[]>;
}

export function openDirectFetcher(
  env: Env,
  changes: Partial<DirectSettings> = {},
  uploadChanges: Partial<UploadSettings> = {},
): DirectFetcher {
  return new Fetcher(env, { ...DIRECT_SETTINGS, ...changes }, openDirectUploads(env, uploadChanges));
}

class Fetcher implements DirectFetcher {
  readonly settings: DirectSettings;
  readonly counters = newDirectCounters();
  readonly budget: ByteBudget;
  readonly shared = new SharedFrames();
  readonly uploads: DirectUploads;
  readonly #env: Env;
  readonly #prng: Prng;
  readonly #objects: UrlObjects;
  readonly #queue: AdaptiveQueue;
  readonly #breaker: Breaker;
  readonly #pace: ReadPace;

  constructor(env: Env, settings: DirectSettings, uploads: DirectUploads) {
    const { getCountMin, getCountMax, fetchBytes, awayMs } = settings;
    this.settings = settings;
    this.uploads = uploads;
    this.budget = new ByteBudget(fetchBytes);
    this.#env = env;
    this.#prng = prngFrom(randomInt(2 ** 47));
    this.#pace = new ReadPace(env.clock);
    this.#objects = openUrlObjects({ ...settings, connectionsMax: getCountMax * 2 }); // each may have a second one beside it
    this.#queue = new AdaptiveQueue(getCountMin, getCountMax);
    this.#breaker = openBreaker({
      dependency: 'bucket',
      code: 'PEER_UNAVAILABLE', // unlike the endpoint's own trouble: not to be tried again
      clock: env.clock,
      prng: prngFrom(randomInt(2 ** 47)),
      rules: { faultsInRow: FAILURES_IN_ROW, openMs: awayMs },
      onChange: (view) => this.#changed(view),
    });
  }

  get isReachable(): boolean {
    return this.#breaker.view().kind === 'closed';
  }

  get mayTry(): boolean {
    return this.#breaker.refusal() === undefined;
  }

  hasEnded(worksUntil: number): boolean {
    return this.#env.clock.monotonic() >= worksUntil;
  }

  async fetch(
    stretch: StretchToRead,
    signal: AbortSignal,
    { check = 'verified', shared }: FetchOptions = {},
  ): Promise<readonly BulkBlob[]> {
    const raw = await Promise.all(shared === undefined ? this.#frames(stretch, signal) : this.#framesOnce(stretch, shared, signal));
    return stretch.frames.flatMap(({ blobs }, index) => this.#blobsOf(blobs, raw[index], check));
  }

  /** The raw bytes of each frame, by one request. */
  #frames(stretch: StretchToRead, signal: AbortSignal): readonly Promise<Raw>[] {
    const [first, ...more] = stretch.frames;
    if (first === undefined) return [];
    const read = this.read(stretch, signal);
    return stretch.frames.map(async (at) => {
      const bytes = await read;
      return bytes === undefined
        ? undefined
        : await this.#decoded(at, bytes.subarray(at.frame.offset - first.frame.offset), more.length > 0);
    });
  }

  /** As `#frames`, where those that others have asked for are theirs; unless they do not come. */
  #framesOnce({ frames, worksUntil }: StretchToRead, shared: SharedFrames, signal: AbortSignal): readonly Promise<Raw>[] {
    const known = new Map(frames.map((at) => [at, shared.get(at.frame)]));
    const lacking = frames.filter((at) => known.get(at) === undefined);
    for (const [index, raw] of this.#frames({ frames: lacking, worksUntil }, signal).entries()) {
      const at = lacking[index];
      if (at !== undefined) shared.add(at.frame, raw);
      if (at !== undefined) known.set(at, raw);
    }
    const own = new Set(lacking);
    return frames.map(async (at) => {
      const raw = await known.get(at);
      return raw !== undefined || own.has(at) ? raw : await this.#frames({ frames: [at], worksUntil }, signal)[0];
    });
  }

  async read({ frames, worksUntil }: StretchToRead, signal: AbortSignal): Promise<Buffer<ArrayBuffer> | undefined> {
    const [first] = frames;
    const last = frames.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const offset = first.frame.offset;
    const length = last.frame.offset + last.frame.storedBytes - offset;
    const { clock } = this.#env;
    const { counters, settings } = this;
    const context = { objects: this.#objects, counters, clock, pace: this.#pace, hedgeMs: settings.hedgeMs };
    const onRetry = () => void (counters.rangesRetried += 1);
    const once = async () => {
      if (this.hasEnded(worksUntil)) throw new Fault('GRANT_EXPIRED', `The URL for ${first.frame.pack} has ended`);
      const leave = this.#breaker.begin(); // right before each request: of those that wait none is made once it is open
      try {
        const bytes = await hedgedGet(context, { key: first.url, offset, length }, signal);
        leave();
        return bytes;
      } catch (error) {
        leave(asReachability(error, signal));
        throw error;
      }
    };
    try {
      return await inTries(settings.triesCount, () => this.#queue.run(once, signal), { prng: this.#prng, signal, onRetry });
    } catch (error) {
      signal.throwIfAborted();
      this.#env.log.debug('bucket-read-failed', { object: first.frame.pack, error });
      return undefined;
    }
  }

  /** `from` begins with the frame; `isShared`: other frames lie in the same buffer, which shall not be kept for one of them. */
  async #decoded({ frame, blobs }: FrameToRead, from: Uint8Array, isShared: boolean): Promise<Raw> {
    try {
      const raw = await decodeFrame(frame, from.subarray(0, frame.storedBytes));
      return isShared && frame.encoding === 'raw' ? Uint8Array.from(raw) : raw;
    } catch (error) {
      this.counters.blobsDamaged += blobs.length;
      this.#env.log.warn('bucket-frame-damaged', { object: frame.pack, offset: frame.offset, error });
      return undefined;
    }
  }

  #blobsOf(blobs: FrameToRead['blobs'], raw: Raw, check: PieceCheck): readonly BulkBlob[] {
    if (raw === undefined) return [];
    const found = blobs.map(({ digest, offset, length }) => ({ digest, bytes: raw.subarray(offset, offset + length) }));
    return found.filter(({ digest, bytes }) => this.#isGood(digest, bytes, check));
  }

  #isGood(digest: BulkBlob['digest'], bytes: Uint8Array, check: PieceCheck): boolean {
    try {
      if (check === 'verified' || bytes.byteLength !== sizeOf(digest)) verifyBytes(digest, bytes, 'BLOB_CORRUPT');
      this.counters.blobs += 1;
      this.counters.blobBytes += bytes.byteLength;
      return true;
    } catch (error) {
      this.counters.blobsDamaged += 1;
      this.#env.log.warn('bucket-blob-damaged', { digest, error });
      return false;
    }
  }

  #changed({ kind, lastFault, openForMs }: BreakerView): void {
    const { log } = this.#env;
    if (kind === 'closed') log.info('bucket-reachable', { hint: 'Inputs are fetched from the bucket itself again.' });
    if (kind !== 'open') return;
    const hint = 'Inputs come through the data plane meanwhile: slower, and nothing else. Let agents reach the endpoint of the bucket.';
    log.warn('bucket-unreachable', { lastFault, openForMs, hint });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.uploads[Symbol.asyncDispose]();
    await this.#objects[Symbol.asyncDispose]();
  }
}

/** What a failure says about whether the bucket can be reached from here: a refused URL is of no more use than no answer. */
function asReachability(error: unknown, signal: AbortSignal): Fault {
  if (signal.aborted) return new Fault('CANCELLED', 'Nobody wants the answer', { cause: error });
  if (isFault(error, 'FORBIDDEN')) return new Fault('STORE_UNAVAILABLE', error.message, { cause: error });
  return error instanceof Fault ? error : new Fault('INTERNAL', 'Reading from the bucket failed', { cause: error });
}
