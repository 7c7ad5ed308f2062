import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { BlobInFrame } from '../packs/frame.ts';
import { roomOf } from '../shared-room.ts';
import type { FileToPlace } from '../tree/materialise.ts';
import { FIXED_MTIME_S, placeBytes, placeFile } from '../tree/place.ts';
import { BULK_BLOB_BYTES_MAX, bulkSourceOf, type BulkBlob } from './bulk-source.ts';
import type { FileToWrite, FileWriters } from './file-writers.ts';

/** Put together for one thread: enough that passing them on costs little. */
const TOGETHER_BYTES = 1024 * 1024;
const TOGETHER_COUNT = 256;
/** Fewer files than this are written here: a thread takes longer to start. */
const THREADS_FROM_COUNT = 1_024;
/** Large blobs on their way at once. */
const STREAMED_BYTES = 32 * 1024 * 1024;

/**
 * Fetches blobs and makes files of them, straight at their paths: small ones in bulk, each blob once, however many files it becomes,
 * verified and written by threads, where files that are alike may become one of several names; large ones as streams. Returns
 * the bytes that came.
 * @throws {Fault} as `placeFile`; whatever the store throws.
 */
export async function fetchFiles(
  files: readonly FileToPlace[],
  store: BlobStore,
  writers: FileWriters,
  signal: AbortSignal,
): Promise<number> {
  const small = new Map<Digest, FileToPlace[]>();
  const large: FileToPlace[] = [];
  for (const file of files) {
    const same = small.get(file.digest);
    if (same !== undefined) same.push(file);
    else if (sizeOf(file.digest) > BULK_BLOB_BYTES_MAX) large.push(file);
    else small.set(file.digest, [file]);
  }
  let bytesIn = 0;
  const source = bulkSourceOf(store);
  const budget = (file: FileToPlace) => Math.min(sizeOf(file.digest), STREAMED_BYTES / 4);
  const stream = async (file: FileToPlace, stop: AbortSignal) => {
    const place = (bytes: AsyncIterable<Uint8Array>) => placeFile(file.path, file.digest, file.mode, bytes, file.mtimeS);
    const unverified = source.getLarge?.(file.digest, stop); // hashed where it is written, and so not before
    await place(unverified ?? store.get(file.digest, undefined, stop)).catch((error: unknown) => {
      if (unverified === undefined || !isFault(error, 'BLOB_CORRUPT')) throw error;
      return place(store.get(file.digest, undefined, stop));
    });
    bytesIn += sizeOf(file.digest);
  };
  const threads = files.length >= THREADS_FROM_COUNT ? writers : undefined;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const streams = forEachWithin(large, STREAMED_BYTES, budget, stream, either, roomOf(store));
  const both = [streams, fetchSmall(small, store, threads, either)] as const;
  const bytes = await Promise.all(both).catch(async (error: unknown) => {
    stop.abort(error);
    await Promise.allSettled(both);
    throw error;
  });
  return bytesIn + bytes[1];
}

type Small = ReadonlyMap<Digest, readonly FileToPlace[]>;

async function fetchSmall(small: Small, store: BlobStore, threads: FileWriters | undefined, signal: AbortSignal): Promise<number> {
  const came = threads === undefined ? new Set<Digest>() : await unpacking(small, store, threads, signal);
  const left = [...small.keys()].filter((digest) => !came.has(digest));
  for await (const { digest, bytes } of writing(left, small, store, threads, signal)) {
    if (threads === undefined)
      for (const file of small.get(digest) ?? []) placeBytes(file.path, digest, file.mode, bytes, file.mtimeS ?? FIXED_MTIME_S);
    came.add(digest);
  }
  for (const missing of left) if (!came.has(missing)) throw new Fault('BLOB_UNKNOWN', `Blob ${missing}: the store left it out`);
  return came.keys().reduce((sum, digest) => sum + sizeOf(digest), 0);
}

/** Has the threads make files of blobs as they are stored, where the store gives them so; the blobs whose files are made. */
async function unpacking(small: Small, store: BlobStore, writers: FileWriters, signal: AbortSignal): Promise<Set<Digest>> {
  const came = new Set<Digest>();
  const source = small.size === 0 ? undefined : bulkSourceOf(store).getPacked?.([...small.keys()], signal);
  if (source === undefined) return came;
  await using work = new Work(writers.count * 2);
  for await (const { frames, bytes } of source) {
    const files = (blobs: readonly BlobInFrame[]) =>
      blobs.flatMap(({ digest, offset, length }) => {
        if (came.has(digest)) return [];
        came.add(digest);
        return (small.get(digest) ?? []).map((file) => toWrite(file, offset, length));
      });
    const parts = frames.map(({ frame, at, blobs }) => ({ frame, at, files: files(blobs) }));
    await work.add(async () => {
      for (const damaged of await writers.unpack(parts, bytes)) came.delete(damaged);
    });
  }
  await work.finish();
  return came;
}

/** Passes the blobs on as they come and, where there are threads, hands their files to these, waiting while all have enough to do. */
async function* writing(
  wanted: readonly Digest[],
  small: Small,
  store: BlobStore,
  writers: FileWriters | undefined,
  signal: AbortSignal,
): AsyncGenerator<BulkBlob, void, undefined> {
  if (wanted.length === 0) return;
  const source = bulkSourceOf(store).getMany(wanted, signal);
  if (writers === undefined) return yield* source;
  await using work = new Work(writers.count * 2);
  let files: FileToWrite[] = [];
  let parts: Uint8Array[] = [];
  let length = 0;
  const send = async () => {
    const bytes = new Uint8Array(length); // its own buffer, which goes to the thread
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    const some = files;
    files = [];
    parts = [];
    length = 0;
    if (some.length > 0) await work.add(() => writers.write(some, bytes.buffer));
  };
  for await (const { digest, bytes } of source) {
    for (const file of small.get(digest) ?? []) files.push(toWrite(file, length, bytes.byteLength));
    parts.push(bytes);
    length += bytes.byteLength;
    if (length >= TOGETHER_BYTES || files.length >= TOGETHER_COUNT) await send();
    yield { digest, bytes };
  }
  await send();
  await work.finish();
}

function toWrite({ path, digest, mode, mtimeS = FIXED_MTIME_S }: FileToPlace, offset: number, length: number): FileToWrite {
  return { path, digest, mode, mtimeS, offset, length };
}

/** What threads have been given; its end waits for all of it. */
class Work implements AsyncDisposable {
  readonly #underWay = new Set<Promise<void>>();
  readonly #countMax: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Begins it, then waits until less than all that may be is under way. @throws the first error of any */
  async add(begin: () => Promise<void>): Promise<void> {
    const task: Promise<void> = begin()
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#underWay.delete(task));
    this.#underWay.add(task);
    while (this.#underWay.size > this.#countMax) await Promise.race(this.#underWay);
    this.#check();
  }

  async finish(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.#check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
