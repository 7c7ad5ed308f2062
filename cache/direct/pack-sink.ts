import { createHash } from 'node:crypto';
import type { Logger } from '../../base/log.ts';
import { digestOf, EMPTY_DIGEST, sizeOf, type Digest } from '../digest.ts';
import { SINK_BLOB_BYTES_MAX, type BulkSink, type SmallBlob } from '../layer/bulk-sink.ts';
import { PACK_SETTINGS } from '../packs/context.ts';
import { encodeFooter, PACK_ROWS_MAX } from '../packs/format.ts';
import { OpenPack } from '../packs/open-pack.ts';
import type { PackMaker } from '../packs/pack-commit.ts';
import type { DirectUploads, UploadTarget } from './uploads.ts';

/** What a pack says of itself. */
export type PackClaim = PackMaker & { readonly writtenAt: number };

/** The data plane's part: it names and signs where packs go, and takes them over once they are there. */
export interface UploadPlanner {
  /** undefined where it takes no packs of this attempt now. @throws the reason of `signal` only */
  begin(signal: AbortSignal): Promise<PackClaim | undefined>;
  plan(
    content: { readonly lengthBytes: number; readonly sha256Hex: string },
    signal: AbortSignal,
  ): Promise<UploadTarget & { readonly upload: string }>;
  /** Returns once all blobs of the pack are there for readers. */
  commit(upload: string, signal: AbortSignal): Promise<void>;
}

/** Files read at once, and their bytes. */
const READ_COUNT = 64;
const READ_BYTES = 4 * 1024 * 1024;
const NO_ROOM: Disposable = { [Symbol.dispose]() {} };

/**
 * Stores many small blobs in packs that are made here and put into the bucket by URL. What fails on that way is left out, and with it the
 * rest: the caller has another.
 */
export function packSink(planner: UploadPlanner, uploads: DirectUploads, log: Logger): BulkSink {
  return {
    async putMany(blobs, signal) {
      const stored = new Set<Digest>();
      const small = blobs.filter(({ digest }) => digest !== EMPTY_DIGEST && sizeOf(digest) <= SINK_BLOB_BYTES_MAX);
      if (bytesOf(small) < uploads.settings.worthBytes || !uploads.mayTry) return stored;
      const claim = await planner.begin(signal);
      if (claim === undefined) return stored;
      try {
        await uploads.run(() => new Sending({ planner, uploads, claim, stored }, signal).all(small), signal);
      } catch (error) {
        signal.throwIfAborted();
        log.debug('packs-not-put', { error, stored: stored.size, of: small.length });
      }
      return stored;
    },
  };
}

type SendingParts = {
  readonly planner: UploadPlanner;
  readonly uploads: DirectUploads;
  readonly claim: PackClaim;
  /** Gets what has been stored. */
  readonly stored: Set<Digest>;
};

type Filling = { readonly pack: OpenPack; readonly room: Disposable; rawBytes: number };

/** One call's packs: filled one after the other, several under way at once. The first failure ends all. */
class Sending {
  readonly #parts: SendingParts;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: SendingParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /** @throws the first failure, once nothing is under way any more */
  async all(blobs: readonly SmallBlob[]): Promise<void> {
    let filling: Filling | undefined;
    try {
      for (const some of readTogether(blobs, this.#readBytes)) {
        filling ??= await this.#begin();
        await this.#fill(filling, some);
        if (!this.#isFull(filling)) continue;
        this.#send(filling);
        filling = undefined;
      }
      if (filling !== undefined) this.#send(filling);
      filling = undefined;
    } catch (error) {
      this.#failure ??= { error };
      this.#stop.abort(error);
    } finally {
      filling?.room[Symbol.dispose]();
      await Promise.all(this.#underWay);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #begin(): Promise<Filling> {
    const room = await this.#parts.uploads.room.take(1, this.#signal);
    return { pack: new OpenPack(PACK_SETTINGS.level), room, rawBytes: 0 };
  }

  /** All of them go into this one pack: whoever waited for room for another while holding bytes would have others wait for these. */
  async #fill(filling: Filling, some: readonly SmallBlob[]): Promise<void> {
    using _ = await this.#parts.uploads.reading.take(bytesOf(some), this.#signal);
    for (const { digest, bytes } of await readAll(some)) {
      filling.pack.add({ digest, kind: 'bytes', bytes, compressible: true }, NO_ROOM, () => {});
      filling.rawBytes += bytes.byteLength;
    }
    this.#signal.throwIfAborted();
  }

  /** Most bytes that are read at once. */
  get #readBytes(): number {
    return Math.min(READ_BYTES, this.#parts.uploads.settings.packRawBytes / 16);
  }

  /** Whether as many as are read at once may not fit any more. */
  #isFull({ pack, rawBytes }: Filling): boolean {
    const { packBytes, packRawBytes } = this.#parts.uploads.settings;
    const hasRows = pack.rows.length + READ_COUNT <= PACK_ROWS_MAX;
    return pack.storedBytes >= packBytes || rawBytes + this.#readBytes > packRawBytes || !hasRows;
  }

  #send({ pack, room }: Filling): void {
    const task: Promise<void> = this.#bring(pack)
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#stop.abort(error);
      })
      .finally(() => {
        room[Symbol.dispose]();
        this.#underWay.delete(task);
      });
    this.#underWay.add(task);
  }

  async #bring(pack: OpenPack): Promise<void> {
    const { planner, uploads, claim, stored } = this.#parts;
    const frames = await pack.frames();
    const chunks = [...frames.map(({ bytes }) => bytes), encodeFooter({ ...claim, frames, rows: pack.rows })];
    const sum = createHash('sha256');
    let lengthBytes = 0;
    for (const chunk of chunks) {
      sum.update(chunk);
      lengthBytes += chunk.byteLength;
    }
    const { upload, ...target } = await planner.plan({ lengthBytes, sha256Hex: sum.digest('hex') }, this.#signal);
    await uploads.put(target, chunks, this.#signal);
    await planner.commit(upload, this.#signal);
    uploads.counters.packs += 1;
    uploads.counters.packBytes += lengthBytes;
    uploads.counters.blobs += pack.rows.length;
    for (const { digest } of pack.rows) stored.add(digest);
  }
}

/** What is read at once each, in the same order. */
function readTogether(blobs: readonly SmallBlob[], bytesMax: number): readonly (readonly SmallBlob[])[] {
  const groups: SmallBlob[][] = [];
  let bytes = 0;
  for (const blob of blobs) {
    const open = groups.at(-1);
    bytes += sizeOf(blob.digest);
    if (open !== undefined && open.length < READ_COUNT && bytes <= bytesMax) open.push(blob);
    else {
      groups.push([blob]);
      bytes = sizeOf(blob.digest);
    }
  }
  return groups;
}

function bytesOf(blobs: readonly SmallBlob[]): number {
  return blobs.reduce((sum, { digest }) => sum + sizeOf(digest), 0);
}

/** Those that are what their digests say. Of the others the way that they then go says what is wrong. */
async function readAll(blobs: readonly SmallBlob[]): Promise<readonly { readonly digest: Digest; readonly bytes: Uint8Array }[]> {
  const read = blobs.map(async ({ digest, read: bytesOf }) => {
    const bytes = await bytesOf().catch(() => undefined);
    return bytes !== undefined && digestOf(bytes) === digest ? [{ digest, bytes }] : [];
  });
  return (await Promise.all(read)).flat();
}
