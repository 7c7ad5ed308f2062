import { createHash } from 'node:crypto';
import { present } from '../../base/assert.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import { digestFrom, type Digest } from '../../cache/digest.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { StoredLog } from '../ledger/ledger.ts';
import { blobPieces, endOf, readStored, type LogPiece, type LogRequest } from './log-reader.ts';

type Segment = StoredLog['segments'][number];
type Chunk = StoredLog['chunks'][number];

/** A log that still takes bytes, with its readers. `durable` counts what is acknowledged, `#end` what was admitted. */
export class LiveLog {
  readonly build: BuildId;
  readonly token: LeaseToken;
  /** open: takes bytes; closing: its lease is over; ended: it is a blob, or all that came is known to be all. */
  phase: 'open' | 'closing' | 'ended' = 'open';
  /** The newest commit of admitted bytes. */
  settled: Promise<void> = Promise.resolve();
  /** The move of the tail into the blob store that is under way. */
  spilling: Promise<boolean> | undefined;
  /** Bytes that wait to become durable. */
  waitingBytes = 0;
  #segments: readonly Segment[];
  #chunks: Chunk[];
  #sealed: SealedLog | undefined;
  #end: number;
  #durable: number;
  #turn: Promise<void> = Promise.resolve();
  #isWhole = false;
  readonly #readers = new Set<() => void>();

  constructor(build: BuildId, token: LeaseToken, stored: StoredLog | undefined) {
    this.build = build;
    this.token = token;
    this.#segments = stored?.segments ?? [];
    this.#chunks = [...(stored?.chunks ?? [])];
    this.#durable = stored === undefined ? 0 : endOf(stored);
    this.#end = this.#durable;
    if (stored?.sealed !== undefined) this.end(stored.sealed);
  }

  get durable(): number {
    return this.#durable;
  }

  get tailBytes(): number {
    const first = this.#chunks[0];
    return first === undefined ? 0 : this.#durable - first.offset;
  }

  get tailPieces(): number {
    return this.#chunks.length;
  }

  /** Runs `work` after all earlier calls' have ended, so that bytes are admitted in the order in which they came. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(work);
    this.#turn = run.then(
      () => {},
      () => {},
    );
    return run;
  }

  /** The part of `bytes` that is new and leaves no gap; undefined for none. It counts as there from now on. */
  admit(offset: number, bytes: Uint8Array): Chunk | undefined {
    if (this.phase !== 'open' || offset > this.#end || offset + bytes.byteLength <= this.#end) return undefined;
    const fresh = { offset: this.#end, bytes: Uint8Array.from(bytes.subarray(this.#end - offset)) };
    this.#end = fresh.offset + fresh.bytes.byteLength;
    return fresh;
  }

  committed(offset: number, bytes: Uint8Array): void {
    this.#chunks.push({ offset, bytes });
    this.#durable = offset + bytes.byteLength;
    this.#stir();
  }

  tail(): { readonly offset: number; readonly chunks: readonly Uint8Array[] } {
    return { offset: present(this.#chunks[0], 'a tail that is stored has bytes').offset, chunks: this.#chunks.map((chunk) => chunk.bytes) };
  }

  /** The first `chunkCount` chunks of the tail are the segment now. */
  spilled(segment: Segment, chunkCount: number): void {
    this.#segments = [...this.#segments, segment];
    this.#chunks = this.#chunks.slice(chunkCount);
  }

  stored(): StoredLog {
    return { segments: this.#segments, chunks: this.#chunks, sealed: this.#sealed };
  }

  /** Nothing more comes, and nobody has more of it: readers need not wait until it is one blob. */
  markWhole(): void {
    this.#isWhole = true;
    this.#stir();
  }

  /** No more bytes: the log is `sealed`, or what came is all of it. */
  end(sealed: SealedLog | undefined): void {
    this.phase = 'ended';
    this.#sealed = sealed;
    if (sealed !== undefined) this.#chunks = [];
    this.#stir();
  }

  async *read(request: LogRequest, store: BlobStore, signal: AbortSignal): AsyncGenerator<LogPiece> {
    let offset = request.offset;
    while (!signal.aborted) {
      if (this.#sealed !== undefined) return yield* blobPieces(this.#sealed, offset, store, signal);
      if (this.phase === 'ended' || this.#isWhole) return yield* readStored(this.stored(), offset, store, signal);
      if (offset < this.#durable) {
        for await (const piece of readStored(this.stored(), offset, store, signal)) {
          offset = piece.offset + piece.bytes.byteLength;
          if (piece.bytes.byteLength > 0) yield { ...piece, complete: false };
        }
      } else if (request.follow) {
        await this.#changed(signal);
      } else {
        return;
      }
    }
  }

  async #changed(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#readers.add(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#readers.delete(resolve);
  }

  #stir(): void {
    for (const wake of this.#readers) wake();
    this.#readers.clear();
  }
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? present(pieces[0], 'one piece') : Buffer.concat(pieces);
}

/** The digest of bytes that come in pieces. */
export async function digestOfPieces(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Digest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of pieces) {
    hash.update(piece);
    sizeBytes += piece.byteLength;
  }
  return present(digestFrom(hash.digest('hex'), sizeBytes), 'a computed digest is valid');
}
