import type { BlobStore } from '../blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { BULK_BLOB_BYTES_MAX, bulkSourceOf, type BulkBlob, type BulkSource, type PackedBlobs } from '../layer/bulk-source.ts';
import { stretches, stretchesInOrder } from '../packs/stretches.ts';
import { roomOf, withSharedRoom } from '../shared-room.ts';
import { verified } from '../verify.ts';
import { ahead } from './ahead.ts';
import type { DirectFetcher, PieceCheck, StretchToRead } from './fetcher.ts';
import { inOrderOfPieces, isReadable, type DirectPlan, type FrameToRead, type PlanReads } from './plan.ts';

/** Blobs of one plan: an answer of about a megabyte. */
const PLANNED_COUNT = 10_000;
/** So many requests before its end the next plan is asked for: not sooner, since its URLs end like the others. */
const NEAR_END_COUNT = 16;
/** Larger blobs have so many pieces that a plan of them becomes too large a message. */
const LARGE_BYTES_MAX = 512 * 1024 * 1024;
/** Requests that a large blob has under way or waiting to be taken. */
const LARGE_AHEAD_COUNT = 8;

/** What one request brought, and the room that it takes. */
type Fetched<T = readonly BulkBlob[]> = { readonly brought: T; readonly room: Disposable };

/**
 * Reads from the bucket what a plan says lies there, and all else, and whatever fails on that way, through `next`: so it fails only where
 * `next` does. Everything read directly is verified. Stands right before the store that is the data plane.
 */
export function withDirectReads(next: BlobStore, plan: PlanReads, fetcher: DirectFetcher): BlobStore & BulkSource {
  const planned = async (digests: readonly Digest[], signal: AbortSignal): Promise<DirectPlan | undefined> =>
    fetcher.mayTry ? await plan(digests, signal) : undefined;
  /** What `getPacked` did not bring though it lies in the bucket: whoever wants it asks `getMany` for it. */
  const missed = new Set<Digest>();
  /** A large blob piece after piece; undefined where it is not to be had so. */
  const largeOf = async (digest: Digest, pieces: PieceCheck, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> => {
    const size = sizeOf(digest);
    const found = size > BULK_BLOB_BYTES_MAX && size <= LARGE_BYTES_MAX ? await planned([digest], signal) : undefined;
    const frames = found === undefined ? undefined : inOrderOfPieces(found, digest, size);
    if (found === undefined || frames === undefined) return undefined;
    return largeBlob({ digest, frames, worksUntil: found.worksUntil, pieces }, next, fetcher, signal);
  };
  const store: BlobStore & BulkSource = {
    traits: next.traits,
    async *get(digest, range, signal) {
      const pieces = range === undefined ? await largeOf(digest, 'verified', signal) : undefined;
      yield* pieces === undefined ? next.get(digest, range, signal) : verified(digest, pieces, 'BLOB_CORRUPT');
    },
    async *getLarge(digest, signal) {
      yield* (await largeOf(digest, 'as-they-are', signal)) ?? next.get(digest, undefined, signal);
    },
    async *getPacked(digests, signal) {
      const fetch = (stretch: StretchToRead, either: AbortSignal) => packedOf(stretch, fetcher, either);
      const named = new Set<Digest>();
      for await (const packed of fetchPlanned({ digests, planned, named, fetch, fetcher }, signal)) {
        if (packed === undefined) continue;
        for (const { blobs } of packed.frames) {
          for (const { digest } of blobs) named.delete(digest);
          fetcher.counters.blobs += blobs.length;
          fetcher.counters.blobBytes += blobs.reduce((sum, { length }) => sum + length, 0);
        }
        yield packed;
      }
      for (const digest of named) missed.add(digest);
    },
    put: (digest, source, signal) => next.put(digest, source, signal),
    findMissing: (digests, signal) => next.findMissing(digests, signal),
    async *getMany(digests, signal) {
      const left = new Set(digests);
      const named = new Set<Digest>();
      const fetch = (stretch: StretchToRead, either: AbortSignal) => fetcher.fetch(stretch, either);
      for await (const blobs of fetchPlanned({ digests, planned, named, fetch, fetcher }, signal)) {
        for (const blob of blobs) {
          missed.delete(blob.digest);
          if (left.delete(blob.digest)) yield blob;
        }
      }
      for (const digest of left) if (missed.delete(digest) || named.has(digest)) countFallenBack(fetcher);
      if (left.size > 0) yield* bulkSourceOf(next).getMany([...left], signal);
    },
  };
  const room = roomOf(next);
  return room === undefined ? store : withSharedRoom(store, room);
}

type PlannedReads<T> = {
  readonly digests: readonly Digest[];
  readonly planned: PlanReads;
  /** Gets what plans name. */
  readonly named: Set<Digest>;
  readonly fetch: (stretch: StretchToRead, signal: AbortSignal) => Promise<T>;
  readonly fetcher: DirectFetcher;
};

/** All that plans name, by one request each, some requests ahead of who takes it. */
async function* fetchPlanned<T>(reads: PlannedReads<T>, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  using rooms = new OpenRooms();
  const produce = (give: (fetched: Fetched<T>) => void, either: AbortSignal) => fetchEach(reads, rooms, give, either);
  for await (const { brought, room } of ahead(produce, signal)) {
    yield brought;
    room[Symbol.dispose]();
  }
}

/** The next plan is asked for while the last frames of one are fetched. */
async function fetchEach<T>(
  { digests, planned, named, fetch, fetcher }: PlannedReads<T>,
  rooms: OpenRooms,
  give: (fetched: Fetched<T>) => void,
  signal: AbortSignal,
): Promise<void> {
  const toPlan = digests.filter((digest) => digest !== EMPTY_DIGEST);
  const underWay = new Set<Promise<void>>();
  const planNext = () => {
    if (toPlan.length === 0) return undefined;
    const plan = planned(toPlan.splice(0, PLANNED_COUNT), signal);
    plan.catch(() => {}); // awaited below, unless this ends before
    return plan;
  };
  const begin = (stretch: StretchToRead, room: Disposable): void => {
    const task: Promise<void> = fetch(stretch, signal)
      .then((brought) => give({ brought, room }))
      .finally(() => underWay.delete(task));
    task.catch(() => {}); // it fails where the signal aborts only, and then this does too
    underWay.add(task);
  };
  try {
    for (let coming = planNext(); coming !== undefined;) {
      const plan: DirectPlan | undefined = await coming;
      // Where there is no plan now, the next question would not get one either.
      if (plan === undefined) return;
      coming = undefined;
      const { frames, worksUntil } = plan;
      for (const { blobs } of frames) for (const { digest } of blobs) named.add(digest);
      const groups = stretches(frames.filter(isReadable), fetcher.settings.rangeBytes);
      let begun = 0;
      for (const [index, together] of groups.entries()) {
        if (index + NEAR_END_COUNT >= groups.length) coming ??= planNext();
        const stretch = { frames: together, worksUntil };
        const room = rooms.add(await fetcher.budget.take(costOf(stretch), signal));
        if (fetcher.hasEnded(worksUntil)) {
          room[Symbol.dispose]();
          for (const { blobs } of together) for (const { digest } of blobs) toPlan.push(digest);
        } else {
          begin(stretch, room);
          begun += 1;
        }
      }
      // URLs that end before one of them was used: the same again would bring no more.
      if (begun === 0 && groups.length > 0) return;
      coming ??= planNext();
    }
  } finally {
    await Promise.allSettled(underWay);
  }
}

/**
 * The bytes of a large blob, piece after piece, some requests ahead of who takes them; from the first piece on that does not come, the
 * rest through `next`.
 */
async function* largeBlob(
  { digest, frames, worksUntil, pieces }: { readonly digest: Digest; readonly pieces: PieceCheck } & StretchToRead,
  next: BlobStore,
  fetcher: DirectFetcher,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  using _ = fetcher.shared.join();
  const groups = stretchesInOrder(frames, fetcher.settings.rangeBytes);
  const waiting: Promise<Fetched>[] = [];
  const rooms = new OpenRooms();
  const fetchOne = async (together: readonly FrameToRead[]): Promise<Fetched> => {
    const stretch = { frames: together, worksUntil };
    const room = rooms.add(await fetcher.budget.take(costOf(stretch), either));
    return { brought: await fetcher.fetch(stretch, either, { check: pieces, shared: fetcher.shared }), room };
  };
  let done = 0;
  try {
    let asked = 0;
    for (const group of groups) {
      while (asked < groups.length && waiting.length < LARGE_AHEAD_COUNT) {
        const one = fetchOne(groups[asked] ?? []);
        one.catch(() => {}); // awaited in its turn
        waiting.push(one);
        asked += 1;
      }
      const fetched = await waiting.shift();
      const wanted = group.flatMap(({ blobs }) => blobs);
      if (fetched === undefined || fetched.brought.length < wanted.length) break;
      for (const { bytes } of fetched.brought) {
        done += bytes.byteLength;
        yield bytes;
      }
      fetched.room[Symbol.dispose]();
    }
  } finally {
    stop.abort();
    await Promise.allSettled(waiting);
    rooms[Symbol.dispose]();
  }
  if (done === sizeOf(digest)) return;
  countFallenBack(fetcher);
  yield* next.get(digest, done === 0 ? undefined : { offset: done }, signal);
}

/** A request's frames as they came; what did not come whole is left out. */
async function packedOf(stretch: StretchToRead, fetcher: DirectFetcher, signal: AbortSignal): Promise<PackedBlobs | undefined> {
  const bytes = await fetcher.read(stretch, signal);
  const first = stretch.frames[0]?.frame.offset ?? 0;
  if (bytes === undefined) return undefined;
  const frames = stretch.frames.map(({ frame, blobs }) => ({ frame, at: frame.offset - first, blobs }));
  return { bytes: bytes.buffer, frames: frames.filter(({ frame, at }) => at + frame.storedBytes <= bytes.byteLength) };
}

/** Stored and raw bytes that reading it takes. */
function costOf({ frames }: StretchToRead): number {
  const [first] = frames;
  const last = frames.at(-1);
  if (first === undefined || last === undefined) return 0;
  const stored = last.frame.offset + last.frame.storedBytes - first.frame.offset;
  return frames.reduce((sum, { frame }) => sum + frame.rawBytes, stored);
}

function countFallenBack({ counters }: DirectFetcher): void {
  counters.blobsFallenBack += 1;
}

/** Rooms that may be open still when a reader leaves. */
class OpenRooms implements Disposable {
  readonly #open = new Set<Disposable>();

  add(room: Disposable): Disposable {
    const own = {
      [Symbol.dispose]: () => {
        this.#open.delete(own);
        room[Symbol.dispose]();
      },
    };
    this.#open.add(own);
    return own;
  }

  [Symbol.dispose](): void {
    for (const room of this.#open) room[Symbol.dispose]();
  }
}
