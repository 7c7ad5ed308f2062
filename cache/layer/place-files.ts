import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { FileToPlace } from '../tree/materialise.ts';
import { FIXED_MTIME_S, placeBytes, placeFile } from '../tree/place.ts';
import { BULK_BLOB_BYTES_MAX, bulkSourceOf } from './bulk-source.ts';
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
 * verified and written by threads; large ones as streams. Returns the bytes that came.
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
  await forEachWithin(large, STREAMED_BYTES, budget, stream, signal);
  const threads = files.length >= THREADS_FROM_COUNT ? writers : undefined;
  return bytesIn + (await fetchSmall(small, store, threads, signal));
}

async function fetchSmall(
  small: Map<Digest, readonly FileToPlace[]>,
  store: BlobStore,
  threads: FileWriters | undefined,
  signal: AbortSignal,
): Promise<number> {
  let bytesIn = 0;
  const came = new Set<Digest>();
  for await (const { digest, bytes } of writing(small, store, threads, signal)) {
    if (threads === undefined)
      for (const file of small.get(digest) ?? []) placeBytes(file.path, digest, file.mode, bytes, file.mtimeS ?? FIXED_MTIME_S);
    bytesIn += bytes.byteLength;
    came.add(digest);
  }
  for (const missing of small.keys()) if (!came.has(missing)) throw new Fault('BLOB_UNKNOWN', `Blob ${missing}: the store left it out`);
  return bytesIn;
}

/** Passes the blobs on as they come and, where there are threads, hands their files to these, waiting while all have enough to do. */
async function* writing(
  small: ReadonlyMap<Digest, readonly FileToPlace[]>,
  store: BlobStore,
  writers: FileWriters | undefined,
  signal: AbortSignal,
): AsyncGenerator<{ readonly digest: Digest; readonly bytes: Uint8Array }, void, undefined> {
  const wanted = [...small.keys()];
  if (wanted.length === 0) return;
  const source = bulkSourceOf(store).getMany(wanted, signal);
  if (writers === undefined) return yield* source;
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let files: FileToWrite[] = [];
  let parts: Uint8Array[] = [];
  let length = 0;
  const send = () => {
    if (files.length === 0) return;
    const bytes = new Uint8Array(length); // its own buffer, which goes to the thread
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    const task: Promise<void> = writers
      .write(files, bytes.buffer)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => underWay.delete(task));
    underWay.add(task);
    files = [];
    parts = [];
    length = 0;
  };
  try {
    for await (const { digest, bytes } of source) {
      for (const { path, mode, mtimeS = FIXED_MTIME_S } of small.get(digest) ?? [])
        files.push({ path, digest, mode, mtimeS, offset: length, length: bytes.byteLength });
      parts.push(bytes);
      length += bytes.byteLength;
      if (length >= TOGETHER_BYTES || files.length >= TOGETHER_COUNT) send();
      while (underWay.size > writers.count * 2) await Promise.race(underWay);
      if (failure !== undefined) throw failure.error;
      yield { digest, bytes };
    }
    send();
  } finally {
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure.error;
}
