import { randomInt } from 'node:crypto';
import { openBreaker, type BreakerView } from '../../base/breaker.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';
import { reasonOf } from '../../base/thrown.ts';
import { ByteBudget } from '../byte-budget.ts';
import { openUrlObjects, type UrlTuning } from './url-objects.ts';

const MIB = 1024 * 1024;

export type UploadSettings = Omit<UrlTuning, 'connectionsMax'> & {
  /** Less than this in all goes through the data plane: a pack of its own would cost more requests than it spares. */
  readonly worthBytes: number;
  /** Stored and raw bytes at which a pack is closed. */
  readonly packBytes: number;
  readonly packRawBytes: number;
  /** Packs under way at once, over all attempts: each takes up to `packBytes` and a part of `packRawBytes` of memory. */
  readonly packCount: number;
  /** Most bytes of files that are read and not in a pack yet, over all attempts. */
  readonly readBytes: number;
  /** For how long nothing is put after failures: the first time, and at most. */
  readonly awayMs: { readonly initial: number; readonly max: number };
};

export const UPLOAD_SETTINGS: UploadSettings = {
  worthBytes: 8 * MIB,
  packBytes: 16 * MIB,
  packRawBytes: 64 * MIB,
  packCount: 3,
  readBytes: 32 * MIB,
  connectMs: 3_000,
  answerMs: 30_000,
  stallMs: 10_000,
  awayMs: { initial: 60_000, max: 600_000 },
};

/** Failures in a row before what is stored goes through the data plane for a while. */
const FAILURES_IN_ROW = 2;

/** Sums since the start. */
export type UploadCounters = { packs: number; packBytes: number; blobs: number; failed: number };

/** Where one pack goes: what the data plane has signed. */
export type UploadTarget = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** Puts packs by URLs, for all attempts of this agent: one bound for memory, and one judgement of whether it works here. */
export interface DirectUploads extends AsyncDisposable {
  readonly settings: UploadSettings;
  readonly counters: UploadCounters;
  /** Room for packs that are being made or put, counted in packs. */
  readonly room: ByteBudget;
  /** For files that are read, taken by who has room for a pack only, and given back once they are in it. */
  readonly reading: ByteBudget;
  readonly mayTry: boolean;
  /** Does all that brings some packs into the store; any failure of it counts. @throws whatever `work` throws; PEER_UNAVAILABLE */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** @throws {Fault} FORBIDDEN where the URL is refused; STORE_UNAVAILABLE, CANCELLED */
  put(target: UploadTarget, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
}

export function openDirectUploads(env: Env, changes: Partial<UploadSettings> = {}): DirectUploads {
  const settings = { ...UPLOAD_SETTINGS, ...changes };
  const counters = { packs: 0, packBytes: 0, blobs: 0, failed: 0 };
  const objects = openUrlObjects({ ...settings, connectionsMax: settings.packCount });
  const changed = ({ kind, lastFault, openForMs }: BreakerView): void => {
    if (kind === 'closed') env.log.info('bucket-takes-packs', { hint: 'What steps make is put into the bucket itself again.' });
    if (kind !== 'open') return;
    const hint = 'What steps make goes through the data plane meanwhile: slower, and nothing else.';
    env.log.warn('bucket-takes-no-packs', { lastFault, openForMs, hint });
  };
  const breaker = openBreaker({
    dependency: 'bucket',
    code: 'PEER_UNAVAILABLE',
    clock: env.clock,
    prng: prngFrom(randomInt(2 ** 47)),
    rules: { faultsInRow: FAILURES_IN_ROW, openMs: settings.awayMs },
    onChange: changed,
  });
  return {
    settings,
    counters,
    room: new ByteBudget(settings.packCount),
    reading: new ByteBudget(settings.readBytes),
    get mayTry() {
      return breaker.refusal() === undefined;
    },
    async run(work, signal) {
      const leave = breaker.begin();
      try {
        const result = await work();
        leave();
        return result;
      } catch (error) {
        counters.failed += 1;
        // Whatever it was: the same would fail again, and there is another way.
        leave(new Fault(signal.aborted ? 'CANCELLED' : 'STORE_UNAVAILABLE', reasonOf(error)));
        throw error;
      }
    },
    put: ({ url, headers }, chunks, signal) => objects.put(url, headers, chunks, signal),
    [Symbol.asyncDispose]: () => objects[Symbol.asyncDispose](),
  };
}
