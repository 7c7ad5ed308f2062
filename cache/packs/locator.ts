import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../digest.ts';
import type { BlobPlace, Hold, StoreIndex } from '../store-index/store-index.ts';
import { unlessAborted } from './tries.ts';

/** Digests of one question to the index. */
const BATCH_COUNT = 16_384;

type Batch = { readonly digests: Set<Digest>; readonly answer: Promise<ReadonlyMap<Digest, BlobPlace>> };

/**
 * Asks the index where blobs are. Questions without a hold that come in the same turn for the same scopes become one, so that a thousand
 * small reads cost one round trip.
 */
export class Locator {
  readonly #index: StoreIndex;
  readonly #life: AbortSignal;
  readonly #batches = new Map<string, Batch>();

  constructor(index: StoreIndex, life: AbortSignal) {
    this.#index = index;
    this.#life = life;
  }

  /** As `StoreIndex.locate` without a hold; the answer may hold more than was asked for. */
  async locate(
    project: string,
    scopes: readonly string[],
    digests: readonly Digest[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, BlobPlace>> {
    signal.throwIfAborted();
    if (scopes.length === 0 || digests.length === 0) return new Map();
    if (digests.length > BATCH_COUNT) return await this.locateHeld(project, scopes, digests, undefined, signal);
    const key = [project, ...scopes].join('\0');
    let batch = this.#batches.get(key);
    if (batch === undefined || batch.digests.size >= BATCH_COUNT) {
      const all = new Set<Digest>();
      batch = { digests: all, answer: this.#ask(key, project, scopes, all) };
      this.#batches.set(key, batch);
    }
    for (const digest of digests) batch.digests.add(digest);
    return await unlessAborted(batch.answer, signal);
  }

  /** As `StoreIndex.locate`, at once, in pieces. */
  async locateHeld(
    project: string,
    scopes: readonly string[],
    digests: readonly Digest[],
    hold: Hold | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, BlobPlace>> {
    const found = new Map<Digest, BlobPlace>();
    for (let start = 0; start < digests.length && scopes.length > 0; start += BATCH_COUNT) {
      const piece = await this.#index.locate(project, scopes, digests.slice(start, start + BATCH_COUNT), hold, signal);
      for (const [digest, place] of piece) found.set(digest, place);
    }
    return found;
  }

  async #ask(key: string, project: string, scopes: readonly string[], digests: ReadonlySet<Digest>) {
    await nextTurn();
    if (this.#batches.get(key)?.digests === digests) this.#batches.delete(key);
    return await this.#index.locate(project, scopes, [...digests], undefined, this.#life);
  }
}
