import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../digest.ts';
import type { BlobPlace, Hold, PackName, StoreIndex } from '../store-index/store-index.ts';
import { unlessAborted } from './tries.ts';

/** Digests of one question to the index. */
const BATCH_COUNT = 16_384;

/** Packs without an object that are remembered. */
const GONE_COUNT = 100_000;

type Batch = { readonly digests: Set<Digest>; readonly answer: Promise<ReadonlyMap<Digest, BlobPlace>> };

/**
 * Asks the index where blobs are. Questions without a hold that come in the same turn for the same scopes become one, so that a thousand
 * small reads cost one round trip.
 */
export class Locator {
  readonly #index: StoreIndex;
  readonly #life: AbortSignal;
  readonly #batches = new Map<string, Batch>();
  readonly #gone = new Set<PackName>();

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
      for (const [digest, place] of await this.#present(project, scopes, piece, hold)) found.set(digest, place);
    }
    return found;
  }

  async #ask(key: string, project: string, scopes: readonly string[], digests: ReadonlySet<Digest>) {
    await nextTurn();
    if (this.#batches.get(key)?.digests === digests) this.#batches.delete(key);
    const found = await this.#index.locate(project, scopes, [...digests], undefined, this.#life);
    return await this.#present(project, scopes, found, undefined);
  }

  /**
   * The store has no object of this pack, and never will again. All that the index believes to be in it is missing from now on, and
   * forgotten where somebody asks for it: else what is stored again would build upon it.
   */
  packGone(pack: PackName): void {
    this.#gone.add(pack);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= GONE_COUNT) break;
      this.#gone.delete(oldest);
    }
  }

  async #present(
    project: string,
    scopes: readonly string[],
    found: ReadonlyMap<Digest, BlobPlace>,
    hold: Hold | undefined,
  ): Promise<ReadonlyMap<Digest, BlobPlace>> {
    if (this.#gone.size === 0) return found;
    const gone = [...found].filter(([, { frame }]) => this.#gone.has(frame.pack));
    if (gone.length === 0) return found;
    const rows = gone.map(([digest, { frame }]) => ({ digest, pack: frame.pack }));
    for (const scope of scopes) await this.#index.forget({ project, scope }, rows, this.#life);
    // Scopes further away may have them too.
    const left = await this.#index.locate(
      project,
      scopes,
      rows.map(({ digest }) => digest),
      hold,
      this.#life,
    );
    const present = new Map([...found].filter(([, { frame }]) => !this.#gone.has(frame.pack)));
    for (const [digest, place] of left) if (!this.#gone.has(place.frame.pack)) present.set(digest, place);
    return present;
  }
}
