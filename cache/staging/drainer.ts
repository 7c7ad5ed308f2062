import { setTimeout as sleep } from 'node:timers/promises';
import type { Breaker } from '../../base/breaker.ts';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import { forEachWithin } from '../byte-budget.ts';
import type { StoreOf } from '../store-view.ts';
import type { StagedBlob, StagingArea } from './area.ts';

/** What became of blobs that waited, since the process began. */
export type DrainCounts = { drained: number; dropped: number };

export type DrainerOptions = {
  readonly area: StagingArea;
  /** The store that they wait for. */
  readonly storeOf: StoreOf;
  readonly breaker: Breaker;
  /** A call that finds out whether the store is back, where nothing waits that could. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  readonly env: Env;
  /** Between looks at what waits. @default one second */
  readonly everyMs?: number;
};

/** Moves blobs into the store as soon as it takes them. Disposal ends what is under way: it waits on, on the disk. */
export interface Drainer extends AsyncDisposable {
  readonly counts: Readonly<DrainCounts>;
}

const EVERY_MS = 1_000;
/** So many go at once, so that small ones share packs. */
const AT_ONCE = 64;

type Drained = 'stored' | 'dropped' | 'away';

/** What came first goes first. One blob alone finds out whether the store is back; then the others follow. */
export function startDrainer({ area, storeOf, breaker, probe, env, everyMs = EVERY_MS }: DrainerOptions): Drainer {
  const closing = new AbortController();
  const counts: DrainCounts = { drained: 0, dropped: 0 };

  /** A blob that can never be stored must not stay for ever, nor stop the others. */
  function drop(blob: StagedBlob, error: unknown): Drained {
    counts.dropped += 1;
    area.remove(blob);
    env.log.error('staged-blob-dropped', { ...blob.owner, digest: blob.digest, producer: blob.producer, error });
    return 'dropped';
  }

  async function drainOne(blob: StagedBlob, signal: AbortSignal): Promise<Drained> {
    const { owner, digest, producer } = blob;
    try {
      const view = { project: owner.project, reads: [owner.scope], writes: owner.scope, producer };
      await storeOf(view).put(digest, area.read(blob, signal), signal);
      area.remove(blob);
      counts.drained += 1;
      return 'stored';
    } catch (error) {
      if (signal.aborted || isFault(error, 'STORE_UNAVAILABLE')) return 'away';
      if (isFault(error, 'BLOB_UNKNOWN')) return 'stored'; // another process that shares the directory was faster
      return drop(blob, error); // damaged on this disk, or its owner may store no more
    }
  }

  async function drainAll(signal: AbortSignal): Promise<void> {
    const [first, ...others] = await area.list();
    if (first === undefined) return breaker.view().kind === 'closed' ? undefined : void (await probe(signal).catch(() => {}));
    if ((await drainOne(first, signal)) === 'away') return;
    const stop = new AbortController();
    const drain = async (blob: StagedBlob, either: AbortSignal) => {
      if ((await drainOne(blob, either)) === 'away') stop.abort();
    };
    await forEachWithin(others, AT_ONCE, () => 1, drain, AbortSignal.any([signal, stop.signal])).catch(() => {}); // the rest waits on
    if ((await area.list()).length > 0) return;
    area.tidy();
    env.log.info('staging-drained', { ...counts });
  }

  const run = async (): Promise<void> => {
    const { signal } = closing;
    for (;;) {
      await sleep(everyMs, undefined, { signal, ref: false });
      if (breaker.refusal() !== undefined) continue;
      await drainAll(signal).catch((error: unknown) => env.log.warn('staging-not-drained', { error }));
    }
  };
  const running = run().catch(() => {}); // only the pause rejects, when it is closed
  return {
    counts,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
