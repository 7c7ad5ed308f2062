import { Fault, isFault } from '../base/fault.ts';
import type { Env } from '../base/env.ts';
import type { BlobStore, ByteRange } from './blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from './digest.ts';
import { Handoff } from './handoff.ts';
import { partitionOf } from './owner.ts';
import { unlessAborted } from './packs/tries.ts';
import type { Owner } from './store-index/store-index.ts';
import type { StoreOf, StoreView } from './store-view.ts';

export type LocalTierOptions = {
  /** Stores by view, which say whose a blob is: the nearest scope that has it. */
  readonly remote: { readonly storeOf: StoreOf; ownerOf(view: StoreView, digest: Digest, signal: AbortSignal): Promise<Owner | undefined> };
  /** The local store of an owner. */
  readonly localOf: (owner: Owner) => BlobStore;
  /** The local stores by view. */
  readonly local: StoreOf;
  /** Larger blobs are not kept locally: they would push everything else out. */
  readonly blobBytesMax: number;
  /** @default nobody looks at them */
  readonly counters?: TierCounters;
  readonly env: Env;
};

/** Blobs that were asked for, and were in the tier or not; sums since the process began. */
export type TierCounters = { hits: number; misses: number };

/** Up to this size a blob is fetched as a whole before it is handed on, once for all who want it. */
const WHOLE_BYTES = 8 * 1024 * 1024;

/**
 * Keeps what was read or written close by, by owner: what is local costs a question to the remote store and none of its bytes; what is
 * not comes from there and is kept on the way. Whether a blob is there, and whether it is stored, the remote store alone says, each time:
 * what was purged or collected is gone, however many copies lie close. Only where it does not answer is a copy given out unasked.
 * Trouble of the local tier is never the caller's.
 */
export function withLocalTier(options: LocalTierOptions): StoreOf {
  const { remote, localOf, local, blobBytesMax, counters = { hits: 0, misses: 0 } } = options;
  const { troubled, fill, getThrough } = fetching(options);
  return (view) => {
    const far = remote.storeOf(view);
    const near = local(view);
    const own = view.writes === undefined ? undefined : localOf({ project: view.project, scope: view.writes });
    return {
      traits: far.traits,
      async *get(digest, range, signal) {
        signal.throwIfAborted();
        if (digest === EMPTY_DIGEST) return yield* far.get(digest, range, signal);
        const owner = await ownerOf(remote, view, digest, signal);
        if (yield* getIfThere(near, digest, range, troubled(digest), signal)) return void (counters.hits += 1);
        counters.misses += 1;
        const size = sizeOf(digest);
        if (owner !== undefined && size <= Math.min(WHOLE_BYTES, blobBytesMax) && (await fill(view, owner, digest, signal))) {
          if (yield* getIfThere(near, digest, range, troubled(digest), signal)) return;
        }
        const isKept = owner !== undefined && range === undefined && size > WHOLE_BYTES && size <= blobBytesMax;
        yield* isKept ? getThrough(view, owner, digest, signal) : far.get(digest, range, signal);
      },
      async put(digest, source, signal) {
        if (own === undefined || digest === EMPTY_DIGEST || sizeOf(digest) > blobBytesMax) await far.put(digest, source, signal);
        else if (source instanceof Uint8Array) {
          await far.put(digest, source, signal);
          await own.put(digest, source, signal).catch(troubled(digest));
        } else {
          const copied = Handoff.tee(source, (copy) => own.put(digest, copy, signal).catch(troubled(digest)));
          await far.put(digest, copied, signal);
        }
      },
      findMissing: (digests, signal) => far.findMissing(digests, signal),
    };
  };
}

/** How what is not near comes from the remote store and is kept on the way. */
function fetching({ remote, localOf, env }: Pick<LocalTierOptions, 'remote' | 'localOf' | 'env'>) {
  /** Blobs being fetched, by owner. */
  const fills = new Map<string, Promise<void>>();
  const unlessUnderWay = oneAtATime();
  const troubled = (digest: Digest) => (error: unknown) => env.log.debug('blob-not-kept-locally', { digest, error });

  /** Fetches the blob into the local store of its owner, once for all who want it. Whether it is there now. */
  async function fill(view: StoreView, owner: Owner, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const key = `${partitionOf(owner)}/${digest}`;
    let filling = fills.get(key);
    if (filling === undefined) {
      // For all who wait, so that none of them can end it for the others.
      const own = new AbortController().signal;
      filling = localOf(owner)
        .put(digest, remote.storeOf(view).get(digest, undefined, own), own)
        .finally(() => fills.delete(key));
      fills.set(key, filling);
    }
    const filled = filling.then(
      () => true,
      (error: unknown) => (troubled(digest)(error), false),
    );
    return await unlessAborted(filled, signal);
  }

  /** The blob from the remote store, kept in the local one of its owner on the way. */
  async function* getThrough(
    view: StoreView,
    owner: Owner,
    digest: Digest,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const far = remote.storeOf(view).get(digest, undefined, signal);
    const key = `${partitionOf(owner)}/${digest}`;
    const keep = (copy: AsyncIterable<Uint8Array>) => localOf(owner).put(digest, copy, signal).catch(troubled(digest));
    yield* Handoff.tee(far, (copy) => unlessUnderWay(key, () => keep(copy))); // each copy takes room of its own while it is made
  }
  return { troubled, fill, getThrough };
}

/** Whose the blob is; undefined where nobody can say at the moment. @throws {Fault} BLOB_UNKNOWN */
async function ownerOf(
  remote: LocalTierOptions['remote'],
  view: StoreView,
  digest: Digest,
  signal: AbortSignal,
): Promise<Owner | undefined> {
  let owner: Owner | undefined;
  try {
    owner = await remote.ownerOf(view, digest, signal);
  } catch (error) {
    if (isFault(error, 'STORE_UNAVAILABLE')) return undefined;
    throw error;
  }
  if (owner === undefined) throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
  return owner;
}

/** Does the work of a name unless that is under way. */
function oneAtATime(): (name: string, work: () => Promise<void>) => Promise<void> {
  const names = new Set<string>();
  return async (name, work) => {
    if (names.has(name)) return;
    names.add(name);
    await work().finally(() => names.delete(name));
  };
}

/** What `store` gives, and whether it has the blob: where not, nothing was given, and `onTrouble` hears of other reasons. */
async function* getIfThere(
  store: BlobStore,
  digest: Digest,
  range: ByteRange | undefined,
  onTrouble: (error: unknown) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, boolean, undefined> {
  let isBegun = false;
  try {
    for await (const chunk of store.get(digest, range, signal)) {
      isBegun = true;
      yield chunk;
    }
    return true;
  } catch (error) {
    if (isBegun || isFault(error, 'OUT_OF_RANGE')) throw error;
    signal.throwIfAborted();
    if (!isFault(error, 'BLOB_UNKNOWN')) onTrouble(error);
    return false;
  }
}
