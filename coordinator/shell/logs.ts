import { randomInt } from 'node:crypto';
import PQueue from 'p-queue';
import { backoffMs } from '../../base/backoff.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';
import type { Logger } from '../../base/log.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { LogRecord, StoredLog } from '../ledger/ledger.ts';
import { concat, digestOfPieces, LiveLog } from './live-log.ts';
import { blobPieces, readStored, type LogPiece, type LogRequest } from './log-reader.ts';
import { sleep } from './sleep.ts';

/** Bounds of the log store, in bytes. */
export type LogLimits = {
  /** Longest log of one attempt; agents are told and cut theirs there. */
  readonly attemptBytesMax: number;
  /** A tail of this size moves from the ledger into the blob store. */
  readonly segmentBytes: number;
  /** Longest tail while the blob store takes nothing; beyond it bytes wait at the agent. */
  readonly tailBytesMax: number;
  /** Unacknowledged bytes of one attempt that an agent may send. */
  readonly windowBytes: number;
};

export const DEFAULT_LOG_LIMITS: LogLimits = {
  attemptBytesMax: 64 * 1024 * 1024,
  segmentBytes: 1024 * 1024,
  tailBytesMax: 8 * 1024 * 1024,
  windowBytes: 1024 * 1024,
};

/** What an agent may add at the cut of a log that was too long: the mark that says so. */
const CUT_MARK_BYTES = 4_096;
/** A tail of this many pieces moves too: a step that writes a byte at a time costs as many rows and objects as bytes. */
const TAIL_PIECES_MAX = 2_048;
const SEALERS = 8;
const RETRY = { initialMs: 250, maxMs: 15_000 };

/**
 * The logs of attempts, one byte sequence per lease token. Bytes are durable in the ledger before they are acknowledged;
 * a long tail moves into the blob store as a segment, and a log whose lease is over becomes one blob: the one that its agent
 * stored, or, where the attempt was lost, what had arrived.
 */
export interface LogStore extends AsyncDisposable {
  /** The offset from which the log's bytes are wanted. @throws {Fault} LEDGER_UNAVAILABLE */
  offsetOf(build: BuildId, token: LeaseToken): Promise<number>;
  /**
   * Takes `bytes` that start at `offset`: what is there already is trimmed, what would leave a gap is ignored. Returns,
   * once durable, the offset below which the agent may forget its log; undefined where the log takes no more bytes.
   * Calls for one log take effect in their order. @throws {Fault} LEDGER_UNAVAILABLE
   */
  append(build: BuildId, token: LeaseToken, offset: number, bytes: Uint8Array): Promise<number | undefined>;
  /**
   * The lease is over. `sealed` is the whole log as its agent stored it, where there is one. Works in the background, and resolves
   * once the log is one blob, with that, or with `nothing` where not a byte of it came; `unknown` where this store ends before.
   */
  close(build: BuildId, token: LeaseToken, sealed: SealedLog | undefined): Promise<SealedLog | 'nothing' | 'unknown'>;
  /** Drops what memory holds of the logs; their records go with their build. */
  forget(tokens: readonly LeaseToken[]): void;
  /** The log from an offset on. @throws {Fault} OUT_OF_RANGE, LOG_UNKNOWN, STORE_UNAVAILABLE, LEDGER_UNAVAILABLE */
  read(request: LogRequest, signal: AbortSignal): AsyncIterable<LogPiece>;
  /** Since the store was opened; `open` as of now. */
  readonly counts: { readonly bytes: number; readonly segments: number; readonly sealed: number; readonly open: number };
}

export type LogStoreOptions = {
  /** Makes records durable; rejects when the coordinator steps down. */
  readonly commit: (records: readonly LogRecord[]) => Promise<void>;
  /** The log as the ledger keeps it. */
  readonly stored: (token: LeaseToken, signal: AbortSignal) => Promise<StoredLog | undefined>;
  readonly storeOf: (build: BuildId) => BlobStore;
  /** Whether the token is of this process's own term: then nothing of it can be stored that is not known here. */
  readonly isOwn: (token: LeaseToken) => boolean;
  readonly limits: LogLimits;
  readonly log: Logger;
};

export function openLogStore(options: LogStoreOptions): LogStore {
  return new LedgerLogStore(options);
}

class LedgerLogStore implements LogStore {
  readonly #options: LogStoreOptions;
  readonly #logs = new Map<LeaseToken, Promise<LiveLog>>();
  readonly #sealers = new PQueue({ concurrency: SEALERS });
  readonly #closing = new AbortController();
  readonly #prng = prngFrom(randomInt(2 ** 47));
  readonly #sums = { bytes: 0, segments: 0, sealed: 0 };

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  get counts() {
    return { ...this.#sums, open: this.#logs.size };
  }

  async offsetOf(build: BuildId, token: LeaseToken): Promise<number> {
    return (await this.#open(build, token)).durable;
  }

  async append(build: BuildId, token: LeaseToken, offset: number, bytes: Uint8Array): Promise<number | undefined> {
    const { windowBytes, attemptBytesMax } = this.#options.limits;
    const endMax = attemptBytesMax + CUT_MARK_BYTES;
    const log = await this.#open(build, token);
    if (log.phase !== 'open') return undefined;
    if (log.waitingBytes > 2 * windowBytes) return log.durable; // an agent that ignores the window sends it again
    log.waitingBytes += bytes.byteLength;
    try {
      let committed = log.settled;
      await log.inTurn(async () => {
        await this.#room(log);
        const fresh = log.admit(offset, bytes.subarray(0, Math.max(0, endMax - offset)));
        if (fresh !== undefined) log.settled = this.#commit(log, fresh.offset, fresh.bytes);
        committed = log.settled;
      });
      await committed;
      // What is over the limit is dropped, and not waited for.
      return log.durable >= endMax ? Math.max(offset + bytes.byteLength, endMax) : log.durable;
    } finally {
      log.waitingBytes -= bytes.byteLength;
    }
  }

  async close(build: BuildId, token: LeaseToken, sealed: SealedLog | undefined): Promise<SealedLog | 'nothing' | 'unknown'> {
    if (!this.#logs.has(token) && this.#options.isOwn(token)) return sealed ?? 'nothing'; // not a byte of it came
    try {
      return await this.#sealers.add(() => this.#seal(build, token, sealed));
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#options.log.error('log-not-sealed', { build, token, error });
      return 'unknown';
    }
  }

  forget(tokens: readonly LeaseToken[]): void {
    for (const token of tokens) {
      this.#logs.get(token)?.then(
        (log) => log.end(undefined),
        () => {}, // who opened it was told
      );
      this.#logs.delete(token);
    }
  }

  async *read(request: LogRequest, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const store = this.#options.storeOf(request.build);
    let live = this.#logs.get(request.token);
    if (live === undefined && request.running) live = this.#open(request.build, request.token);
    if (live !== undefined) {
      yield* (await live).read(request, store, signal);
      return;
    }
    const stored = await this.#options.stored(request.token, signal);
    const sealed = stored?.sealed ?? request.sealed;
    if (sealed !== undefined) yield* blobPieces(sealed, request.offset, store, signal);
    else yield* readStored(stored ?? { chunks: [], segments: [], sealed: undefined }, request.offset, store, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#sealers.clear();
    await this.#sealers.onIdle();
  }

  #open(build: BuildId, token: LeaseToken): Promise<LiveLog> {
    const known = this.#logs.get(token);
    if (known !== undefined) return known;
    const opening = this.#load(build, token);
    this.#logs.set(token, opening);
    opening.catch(() => this.#logs.delete(token)); // the caller gets the fault; the next one tries again
    return opening;
  }

  async #load(build: BuildId, token: LeaseToken): Promise<LiveLog> {
    const stored = this.#options.isOwn(token) ? undefined : await this.#options.stored(token, this.#closing.signal);
    return new LiveLog(build, token, stored);
  }

  async #commit(log: LiveLog, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#options.commit([{ kind: 'log-chunk', build: log.build, token: log.token, offset, bytes }]);
    log.committed(offset, bytes);
    this.#sums.bytes += bytes.byteLength;
    if (log.tailBytes >= this.#options.limits.segmentBytes || log.tailPieces >= TAIL_PIECES_MAX) void this.#spill(log);
  }

  /** Waits while the tail is as long as it may be, for the blob store to take it. */
  async #room(log: LiveLog): Promise<void> {
    while (log.tailBytes >= this.#options.limits.tailBytesMax && log.phase === 'open') {
      if (!(await this.#spill(log))) throw new Fault('LEDGER_UNAVAILABLE', 'The log store is stopping', { retryAfterMs: 1_000 });
    }
  }

  /** Moves the tail into the blob store, unless that is under way. Never rejects: false where it cannot succeed any more. */
  #spill(log: LiveLog): Promise<boolean> {
    log.spilling ??= this.#retried(log, 'log-segment-not-stored', async () => {
      const tail = log.tail();
      const bytes = concat(tail.chunks);
      const digest = await digestOfPieces([bytes]);
      await this.#options.storeOf(log.build).put(digest, bytes, this.#closing.signal);
      await this.#options.commit([{ kind: 'log-segment', build: log.build, token: log.token, offset: tail.offset, digest }]);
      log.spilled({ offset: tail.offset, digest }, tail.chunks.length);
      this.#sums.segments += 1;
    }).then((isDone) => {
      log.spilling = undefined;
      return isDone;
    });
    return log.spilling;
  }

  async #seal(build: BuildId, token: LeaseToken, given: SealedLog | undefined): Promise<SealedLog | 'nothing' | 'unknown'> {
    const log = await this.#open(build, token);
    if (log.phase !== 'open') return 'unknown';
    log.phase = 'closing';
    await log.inTurn(() => log.settled);
    if (given === undefined) log.markWhole();
    await log.spilling;
    let sealed: SealedLog | undefined;
    const isKept = await this.#retried(log, 'log-not-stored', async () => {
      const store = this.#options.storeOf(build);
      const isThere = given !== undefined && (await store.findMissing([given.digest], this.#closing.signal)).length === 0;
      sealed = isThere ? given : await this.#gather(log, store);
      if (sealed === undefined || log.phase !== 'closing') return; // nothing came, or the build was forgotten meanwhile
      await this.#options.commit([{ kind: 'log-sealed', build, token, digest: sealed.digest, truncated: sealed.truncated }]);
    });
    if (this.#closing.signal.aborted) return 'unknown';
    log.end(sealed);
    this.#sums.sealed += 1;
    this.#logs.delete(token);
    return isKept ? (sealed ?? 'nothing') : 'unknown';
  }

  /** What arrived of a log, as one blob; undefined for nothing. */
  async #gather(log: LiveLog, store: BlobStore): Promise<SealedLog | undefined> {
    if (log.durable === 0) return undefined;
    const signal = this.#closing.signal;
    const bytes = async function* bytes() {
      for await (const piece of readStored(log.stored(), 0, store, signal)) yield piece.bytes;
    };
    const digest = await digestOfPieces(bytes());
    await store.put(digest, bytes(), signal);
    return { digest, truncated: log.durable > this.#options.limits.attemptBytesMax };
  }

  /** Runs `work` until it succeeds, waiting longer each time; false where the store was closed or the ledger lost before. */
  async #retried(log: LiveLog, event: string, work: () => Promise<void>): Promise<boolean> {
    for (let attempt = 0; !this.#closing.signal.aborted; attempt += 1) {
      try {
        await work();
        return true;
      } catch (error) {
        if (this.#closing.signal.aborted) return false;
        if (attempt % 10 === 0) this.#options.log.warn(event, { build: log.build, token: log.token, error });
        if (isFault(error, 'LEDGER_UNAVAILABLE') || isFault(error, 'DRAINING')) return false;
        const leftAloneMs = isFault(error, 'STORE_UNAVAILABLE') ? (error.retryAfterMs ?? 0) : 0;
        await sleep(leftAloneMs + backoffMs(RETRY, attempt, this.#prng) + 50, this.#closing.signal);
      }
    }
    return false;
  }
}
