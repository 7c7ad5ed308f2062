import { randomInt } from 'node:crypto';
import PQueue from 'p-queue';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';
import type { BlobStore, StoreTraits } from '../blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../digest.ts';
import { NO_MEASURES } from '../metrics/store-measures.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { spanOf } from '../range.ts';
import type { Hold, Owner, StoreIndex } from '../store-index/store-index.ts';
import type { StoreOf, StoreView } from '../store-view.ts';
import { verified } from '../verify.ts';
import { BlobWriter, writeBudget } from './blob-writer.ts';
import { planBulk, readMany, type BulkPlan, type BulkRead } from './bulk.ts';
import { PACK_SETTINGS, type PackContext, type PackSettings } from './context.ts';
import { newPackCounters, type PackCounters } from './counters.ts';
import { FrameSource } from './frame-source.ts';
import { LargeReader } from './large-reader.ts';
import { Locator } from './locator.ts';
import { PackLane } from './pack-lane.ts';
import { Presence, type Packs } from './presence.ts';
import { Recipes } from './recipes.ts';
import { StoredParts, type Reach } from './stored-part.ts';
import { EpochWatch, rollingHold } from './upload-hold.ts';

export type PackStoreOptions = {
  readonly objects: ObjectStore;
  /** Open, or opened soon: calls throw STORE_UNAVAILABLE until then. */
  readonly index: StoreIndex;
  readonly env: Env;
  /** What an acknowledged blob survives: as durable as the objects are. @default power */
  readonly durability?: StoreTraits['durability'];
  readonly settings?: Partial<PackSettings>;
  /** @default nobody listens */
  readonly measures?: PackContext['measures'];
};

/** Blobs in packs in an object store, and what others need to know of where they are. */
export interface PackStore extends AsyncDisposable {
  readonly storeOf: StoreOf;
  /** Sums since it was opened. */
  readonly counters: Readonly<PackCounters>;

  /**
   * Reads many blobs for a view, each frame once: for restoring trees. See `readMany`.
   * @throws {Fault} BLOB_CORRUPT, STORE_UNAVAILABLE; what `onBlob` throws
   */
  getMany(
    view: StoreView,
    digests: readonly Digest[],
    onBlob: (digest: Digest, bytes: Uint8Array) => Promise<void> | void,
    signal: AbortSignal,
  ): Promise<BulkRead>;

  /** Where to fetch blobs by presigned URLs that do not outlive `hold`. @throws {Fault} as `planBulk` */
  plan(view: StoreView, digests: readonly Digest[], hold: Hold, signal: AbortSignal): Promise<BulkPlan>;

  /**
   * Every pack that some blobs need, the pieces of large ones and the pages of their recipes included, for the references of an
   * entry. Held from the same step on, where `hold` is given. @throws {Fault} STORE_UNAVAILABLE, HOLD_LOST
   */
  packsOf(view: StoreView, digests: readonly Digest[], hold: Hold | undefined, signal: AbortSignal): Promise<Packs>;

  /** The nearest scope of the view that has the blob, or undefined. @throws {Fault} STORE_UNAVAILABLE */
  ownerOf(view: StoreView, digest: Digest, signal: AbortSignal): Promise<Owner | undefined>;

  /** Sends open packs on their way and waits for all that are under way. Never rejects. */
  flush(): Promise<void>;
}

/**
 * Opens the store over objects and an index, neither of which it closes. Disposal lets packs under way finish; what is not stored then
 * fails with CANCELLED.
 */
export function openPackStore(options: PackStoreOptions): PackStore {
  const { objects, index, env, measures = NO_MEASURES } = options;
  const closing = new AbortController();
  const life = closing.signal;
  const settings = { ...PACK_SETTINGS, ...options.settings };
  const counters = newPackCounters();
  const context: PackContext = { objects, index, settings, counters, measures, env, life };
  const prng = prngFrom(randomInt(2 ** 48 - 1));
  const locator = new Locator(index, life);
  const parts = new StoredParts(context, new FrameSource(context, prng), locator);
  const recipes = new Recipes(parts);
  const presence = new Presence(locator, recipes, parts);
  const large = new LargeReader(context, locator, recipes, parts);
  const epochs = new EpochWatch(index, life);
  const lanes = new Lanes(context, epochs, prng);
  const writer = new BlobWriter({ context, locator, presence, epochs, budget: writeBudget(context), laneOf: (of) => lanes.of(of) });
  const traits: StoreTraits = { durability: options.durability ?? 'power', shared: objects.traits.shared && index.traits.shared };
  const bulk = { context, locator, recipes, parts };

  const storeOf = (view: StoreView): BlobStore => {
    const reach = reachOf(view);
    return {
      traits,
      async *get(digest, range, signal) {
        signal.throwIfAborted();
        const { start, length } = spanOf(digest, range);
        if (digest === EMPTY_DIGEST) return;
        const place = (await locator.locate(reach.project, reach.scopes, [digest], signal)).get(digest);
        if (place === undefined) throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
        if (place.kind === 'bytes') {
          const bytes = await parts.bytes(reach, digest, place, signal);
          if (length > 0) yield bytes.subarray(start, start + length);
          return;
        }
        const pieces = large.read({ reach, digest, place }, start, length, signal);
        if (range === undefined) yield* verified(digest, pieces, 'BLOB_CORRUPT');
        else yield* pieces;
      },
      async put(digest, source, signal) {
        if (view.writes === undefined) throw new Fault('FORBIDDEN', `Nothing may be stored in ${view.project} with these rights`);
        await writer.put({ reach, scope: view.writes, producer: view.producer }, digest, source, signal);
      },
      findMissing: async (digests, signal) => {
        signal.throwIfAborted();
        return await presence.missing(reach, digests, signal);
      },
    };
  };
  return {
    storeOf,
    counters,
    getMany: (view, digests, onBlob, signal) => readMany(bulk, reachOf(view), digests, onBlob, signal),
    plan: (view, digests, hold, signal) => planBulk(bulk, reachOf(view), digests, hold, signal),
    packsOf: (view, digests, hold, signal) => presence.packs(reachOf(view), digests, hold, signal),
    async ownerOf(view, digest, signal) {
      const { scopes } = reachOf(view);
      // All at once: the time of one question, however many scopes there are.
      const found = await Promise.all(scopes.map((scope) => locator.locate(view.project, [scope], [digest], signal)));
      const scope = scopes.find((_, place) => found[place]?.has(digest));
      return scope === undefined ? undefined : { project: view.project, scope };
    },
    flush: () => lanes.drain(),
    async [Symbol.asyncDispose]() {
      await lanes.drain();
      closing.abort(new Fault('CANCELLED', 'The store is being closed'));
    },
  };
}

/** What is looked into: what a view writes it has also written, so that it may know of it. */
function reachOf({ project, reads, writes }: StoreView): Reach {
  return { project, scopes: writes === undefined || reads.includes(writes) ? reads : [writes, ...reads] };
}

/** Most lanes that are kept while nothing is under way in them. */
const IDLE_LANES = 256;

/** The lanes of all who store. */
class Lanes {
  readonly #shared: ConstructorParameters<typeof PackLane>[1];
  readonly #lanes = new Map<string, PackLane>();

  constructor(context: PackContext, epochs: EpochWatch, prng: ReturnType<typeof prngFrom>) {
    const puts = new PQueue({ concurrency: context.settings.putCount });
    this.#shared = { context, puts, holdOf: rollingHold(context, epochs), prng };
  }

  of({ reach: { project }, scope, producer }: { readonly reach: Reach; readonly scope: string; readonly producer: string }): PackLane {
    const key = JSON.stringify([project, scope, producer]);
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    if (this.#lanes.size >= IDLE_LANES) for (const [other, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(other);
    const lane = new PackLane({ owner: { project, scope }, producer }, this.#shared);
    this.#lanes.set(key, lane);
    return lane;
  }

  async drain(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.drain()));
  }
}
