import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault } from '../base/fault.ts';
import { codeOf } from '../base/thrown.ts';
import type { BlobStore } from './blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from './digest.ts';
import type { HashedFiles } from './hashed-files.ts';
import { BUFFER_BYTES, giveBack, lend, takeBuffer } from './lent-buffers.ts';
import { ioFault, type LruDir } from './lru-dir.ts';
import { partitionOf } from './owner.ts';
import { spanOf } from './range.ts';
import { scopedStores } from './scoped-stores.ts';
import type { StoreOf } from './store-view.ts';
import { verified, verifyBytes } from './verify.ts';

/** Up to this size a blob is read or written in one go, without a thread of the pool. */
const SMALL_BYTES = 256 * 1024;
/** A file above this size that this process has hashed is not hashed again: to hash less costs no more than to see that it is the same. */
const HASHED_ONCE_BYTES = 32 * 1024;
/** Above this size a blob at hand is lent: a buffer of its own costs more than its bytes. */
const LENT_BYTES = 64 * 1024;
/** Files looked for before other work of the process gets its turn. */
const TURN_FILES = 512;

/** The blobs of all owners in a directory of files, a partition each. `options` as of `diskStore`. */
export function diskStores(files: LruDir, durability: 'process' | 'power', options?: DiskStoreOptions): StoreOf {
  return scopedStores({ durability, shared: true }, (owner) => diskStore(files, partitionOf(owner), durability, options));
}

export type DiskStoreOptions = {
  /** Nobody else looks at what the store is given: pieces that were lent are given back once they are written. @default false */
  readonly isLastReader?: boolean;
};

/**
 * The blobs of one partition (an owner) of a directory of files, named by digest. What is read is hashed: a whole blob on
 * its way out, with the last piece held back until the hash is right; a range after the whole file was hashed first; a file of more
 * than 32 KiB that this process has hashed, on its way in or out, and that has not changed since, not again. A file that is damaged
 * or has the wrong size is removed.
 */
export function diskStore(
  files: LruDir,
  partition: string,
  durability: 'process' | 'power',
  { isLastReader = false }: DiskStoreOptions = {},
): BlobStore {
  /**
   * Whether the blob is there, by name and size; a file of another size (a crash can leave one) is removed. What was seen lately is
   * believed as of the last `catchUp`; a reader needs none, since opening the file tells.
   */
  const isThere = (digest: Digest): boolean => {
    if (files.believed(partition, digest) !== undefined) return true; // of the right size, or it would have been removed
    const size = files.use(partition, digest);
    if (size !== undefined && size !== sizeOf(digest)) files.remove(partition, digest);
    return size === sizeOf(digest);
  };
  return {
    traits: { durability, shared: true },
    async *get(digest, range, signal) {
      signal.throwIfAborted();
      const { start, length } = spanOf(digest, range);
      if (digest === EMPTY_DIGEST) return;
      if (!isThere(digest)) throw unknown(digest);
      if (sizeOf(digest) > SMALL_BYTES) return yield* readLarge(files, partition, { digest, signal }, start, length);
      const bytes = readSmall(files, partition, digest, Buffer.allocUnsafe(sizeOf(digest)));
      if (bytes === undefined) throw unknown(digest);
      if (length > 0) yield bytes.subarray(start, start + length);
    },
    atHand(digest) {
      if (digest === EMPTY_DIGEST || sizeOf(digest) > SMALL_BYTES || !isThere(digest)) return undefined;
      const size = sizeOf(digest);
      return readSmall(files, partition, digest, size > LENT_BYTES ? lend(takeBuffer(), size) : Buffer.allocUnsafe(size));
    },
    async put(digest, source, signal) {
      signal.throwIfAborted();
      files.catchUp();
      if (isThere(digest)) return;
      if (source instanceof Uint8Array) verifyBytes(digest, source, 'DIGEST_MISMATCH');
      if (digest === EMPTY_DIGEST) {
        if (!(source instanceof Uint8Array)) for await (const _ of verified(digest, source, 'DIGEST_MISMATCH'));
        return;
      }
      let marked: ReturnType<HashedFiles['mark']>;
      await files.write(partition, digest, sizeOf(digest), async (fd) => {
        if (source instanceof Uint8Array && source.byteLength <= SMALL_BYTES) writeSmall(fd, source);
        else if (source instanceof Uint8Array) await writePiece(fd, source);
        else await writePieces(fd, verified(digest, source, 'DIGEST_MISMATCH'), isLastReader, signal);
        if (isLastReader && source instanceof Uint8Array) giveBack(source);
        signal.throwIfAborted();
        if (sizeOf(digest) > SMALL_BYTES) marked = files.hashed.mark(fd);
      });
      files.hashed.noteMarked(`${partition}/${digest}`, files.pathOf(partition, digest), marked);
    },
    async findMissing(digests, signal) {
      const missing = new Set<Digest>();
      files.catchUp();
      let looked = 0;
      for (const digest of digests) {
        if (digest === EMPTY_DIGEST || missing.has(digest)) continue;
        if (!isThere(digest)) missing.add(digest);
        looked += 1;
        if (looked % TURN_FILES === 0) await nextTurn(undefined, { signal });
      }
      signal.throwIfAborted();
      return [...missing];
    },
  };
}

/** Undefined where the file is gone: removed by another process, or by hand. */
function open(files: LruDir, partition: string, digest: Digest): number | undefined {
  const path = files.pathOf(partition, digest);
  try {
    return fs.openSync(path, 'r');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw ioFault(error, path);
    files.notThere(partition, digest);
    return undefined;
  }
}

function unknown(digest: Digest): Fault {
  return new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
}

/**
 * A whole blob, verified, in the bytes for it that are given; undefined where it is gone. A damaged file is removed.
 * @throws {Fault} BLOB_CORRUPT, STORE_UNAVAILABLE
 */
function readSmall(files: LruDir, partition: string, digest: Digest, bytes: Buffer): Uint8Array | undefined {
  const fd = open(files, partition, digest);
  if (fd === undefined) return undefined;
  const name = `${partition}/${digest}`;
  const mayKnow = bytes.byteLength > HASHED_ONCE_BYTES;
  let isKnown = false;
  let looked: string | undefined;
  let length = 0;
  try {
    isKnown = mayKnow && files.hashed.has(name, fd);
    if (mayKnow && !isKnown) looked = files.hashed.look(fd);
    while (length < bytes.byteLength) {
      const count = fs.readSync(fd, bytes, length, bytes.byteLength - length, length);
      if (count === 0) break;
      length += count;
    }
  } catch (error) {
    throw ioFault(error, digest);
  } finally {
    fs.closeSync(fd);
  }
  if (isKnown && length === bytes.byteLength) return bytes;
  try {
    verifyBytes(digest, bytes.subarray(0, length), 'BLOB_CORRUPT');
    files.hashed.note(name, looked);
  } catch (error) {
    files.remove(partition, digest);
    throw error;
  }
  return bytes;
}

async function* readLarge(
  files: LruDir,
  partition: string,
  { digest, signal }: Omit<Reading, 'fd'>,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = open(files, partition, digest);
  if (fd === undefined) throw unknown(digest);
  try {
    yield* large(files.hashed, `${partition}/${digest}`, { fd, digest, signal }, start, length);
  } catch (error) {
    if (error instanceof Fault && error.code === 'BLOB_CORRUPT') files.remove(partition, digest);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** A file that is being read; the digest is what it should have. */
type Reading = { readonly fd: number; readonly digest: Digest; readonly signal: AbortSignal };

/** Bytes of a file, which is hashed unless this process found it right before and it is as it was then. */
async function* large(
  hashed: HashedFiles,
  name: string,
  reading: Reading,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const size = sizeOf(reading.digest);
  if (!hashed.has(name, reading.fd)) {
    const looked = hashed.look(reading.fd);
    const whole = verified(reading.digest, pieces(reading, 0, size), 'BLOB_CORRUPT');
    if (length === size) yield* whole;
    else for await (const _ of whole);
    hashed.note(name, looked);
    if (length === size) return;
  }
  yield* pieces(reading, start, length);
}

/**
 * One piece is read ahead of the one that is worked on; pieces are lent.
 * @throws {Fault} BLOB_CORRUPT where the file ends before the span does
 */
async function* pieces({ fd, digest, signal }: Reading, start: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  const end = start + length;
  let at = start;
  let ahead = length === 0 ? undefined : readPiece(fd, at, Math.min(BUFFER_BYTES, length));
  try {
    while (ahead !== undefined) {
      const piece = await ahead;
      signal.throwIfAborted();
      if (piece.byteLength === 0) throw new Fault('BLOB_CORRUPT', `Blob ${digest}: its file has only ${at} bytes`);
      at += piece.byteLength;
      ahead = at < end ? readPiece(fd, at, Math.min(BUFFER_BYTES, end - at)) : undefined;
      yield piece;
    }
  } finally {
    await ahead?.catch(() => {}); // the descriptor is closed next, and its number may be another file's then
  }
}

function readPiece(fd: number, at: number, length: number): Promise<Uint8Array> {
  const buffer = takeBuffer();
  const reading = new Promise<Uint8Array>((resolve, reject) =>
    fs.read(fd, buffer, 0, length, at, (error, count) =>
      error === null ? resolve(lend(buffer, count)) : reject(ioFault(error, 'reading a blob')),
    ),
  );
  reading.catch(() => {}); // whoever takes the piece hears of it; until then nobody awaits it
  return reading;
}

function writeSmall(fd: number, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.byteLength;) at += fs.writeSync(fd, bytes, at);
  } catch (error) {
    throw ioFault(error, 'writing a blob');
  }
}

/** A piece is written while the next one is awaited, and hashed. */
async function writePieces(fd: number, pieces: AsyncIterable<Uint8Array>, isLastReader: boolean, signal: AbortSignal): Promise<void> {
  let writing: Promise<void> | undefined;
  try {
    for await (const piece of pieces) {
      await writing;
      signal.throwIfAborted();
      writing = writePiece(fd, piece).then(() => (isLastReader ? giveBack(piece) : undefined));
      writing.catch(() => {}); // it is awaited next, unless the pieces end with an error
    }
    await writing;
  } finally {
    await writing?.catch(() => {}); // the descriptor is closed next, and its number may be another file's then
  }
}

async function writePiece(fd: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) {
    at += await new Promise<number>((resolve, reject) =>
      fs.write(fd, bytes, at, bytes.byteLength - at, null, (error, written) =>
        error === null ? resolve(written) : reject(ioFault(error, 'writing a blob')),
      ),
    );
  }
}
