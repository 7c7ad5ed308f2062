import fs from 'node:fs/promises';
import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../blob-store.ts';
import { forEachWithin } from '../byte-budget.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { bulkSinkOf, SINK_BLOB_BYTES_MAX, type SmallBlob } from '../layer/bulk-sink.ts';
import { roomOf } from '../shared-room.ts';
import type { BlobSource } from './build.ts';

/** What an upload sent, and what there was to send. */
export type Uploaded = { readonly sentBytes: number; readonly sentCount: number; readonly totalBytes: number };

/** Bytes that are read or under way at once; a large file counts with the pieces that it is read in. */
const IN_FLIGHT_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
const LARGE_COST_BYTES = 4 * PIECE_BYTES;
/** What a blob costs beyond its bytes: its call, and its place in a message. So at most two thousand are under way at once. */
const OVERHEAD_BYTES = 16 * 1024;
/** Digests per question: what stays well below the largest message. */
const ASKED_AT_ONCE = 10_000;

/**
 * Puts the tree's blobs that `store` lacks into it; asks first, so that an unchanged tree costs one question.
 * @throws {Fault} DIGEST_MISMATCH where a file changed after it was scanned; whatever the store throws.
 */
export async function uploadTree(
  tree: { readonly blobs: ReadonlyMap<Digest, BlobSource> },
  store: BlobStore,
  signal: AbortSignal,
): Promise<Uploaded> {
  const digests = [...tree.blobs.keys()];
  const totalBytes = digests.reduce((sum, digest) => sum + sizeOf(digest), 0);
  let sentBytes = 0;
  let sentCount = 0;
  for (let start = 0; start < digests.length; start += ASKED_AT_ONCE) {
    const missing = await store.findMissing(digests.slice(start, start + ASKED_AT_ONCE), signal);
    const stored = await bulkSinkOf(store).putMany(
      missing.flatMap((digest) => smallBlob(digest, tree.blobs.get(digest))),
      signal,
    );
    sentBytes += [...stored].reduce((sum, digest) => sum + sizeOf(digest), 0);
    sentCount += stored.size;
    const left = missing.filter((digest) => !stored.has(digest));
    const send = async (digest: Digest, stop: AbortSignal) => {
      const source = tree.blobs.get(digest);
      if (source === undefined) return; // the store answers with digests that it was asked for only
      await putSource(digest, source, store, stop);
      sentBytes += sizeOf(digest);
      sentCount += 1;
    };
    await forEachWithin(left, IN_FLIGHT_BYTES, uploadCostOf, send, signal, roomOf(store));
  }
  return { sentBytes, sentCount, totalBytes };
}

function smallBlob(digest: Digest, source: BlobSource | undefined): readonly SmallBlob[] {
  if (source === undefined || sizeOf(digest) > SINK_BLOB_BYTES_MAX) return [];
  return [{ digest, read: async () => (source.kind === 'bytes' ? source.bytes : await fs.readFile(source.path)) }];
}

/** What a blob of that size takes of the room that uploads share. */
export function uploadCostOf(digest: Digest): number {
  return Math.min(sizeOf(digest), LARGE_COST_BYTES) + OVERHEAD_BYTES;
}

async function putSource(digest: Digest, source: BlobSource, store: BlobStore, signal: AbortSignal): Promise<void> {
  if (source.kind === 'bytes') return store.put(digest, source.bytes, signal);
  try {
    await putFile(digest, source, store, signal);
  } catch (error) {
    if (!isFault(error, 'DIGEST_MISMATCH')) throw error;
    throw new Fault('DIGEST_MISMATCH', `"${source.path}" changed after it was scanned`, {
      hint: 'Try again when nothing writes to it, or leave it out.',
      cause: error,
    });
  }
}

async function putFile(digest: Digest, source: BlobSource & { kind: 'file' }, store: BlobStore, signal: AbortSignal): Promise<void> {
  if (sizeOf(digest) <= PIECE_BYTES) return store.put(digest, await fs.readFile(source.path, { signal }), signal);
  // Can be read again from the start, which lets a remote store try again.
  return store.put(digest, { [Symbol.asyncIterator]: () => readPieces(source.path) }, signal);
}

/** A file's bytes in pieces of 1 MiB, in order. */
export async function* readPieces(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  await using file = await fs.open(path);
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
