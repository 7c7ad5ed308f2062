import { Fault, isFault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import { sizeOf } from '../../cache/digest.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { StoredLog } from '../ledger/ledger.ts';

export type LogRequest = {
  readonly build: BuildId;
  readonly token: LeaseToken;
  /** The whole log, where the attempt's report names it. */
  readonly sealed: SealedLog | undefined;
  /** Whether the attempt's lease is current: more may come. */
  readonly running: boolean;
  readonly offset: number;
  /** Whether to wait for what is still to come. */
  readonly follow: boolean;
};

/** Bytes of a log; the last piece of a log that is complete says so, and may be empty. */
export type LogPiece = { readonly offset: number; readonly bytes: Uint8Array; readonly complete: boolean; readonly truncated: boolean };

/** Most bytes of one piece: well below every gRPC client's default bound on a message. */
const PIECE_BYTES_MAX = 256 * 1024;

/** The end of what is stored, in bytes. */
export function endOf(log: StoredLog): number {
  if (log.sealed !== undefined) return sizeOf(log.sealed.digest);
  const chunk = log.chunks.at(-1);
  if (chunk !== undefined) return chunk.offset + chunk.bytes.byteLength;
  const segment = log.segments.at(-1);
  return segment === undefined ? 0 : segment.offset + sizeOf(segment.digest);
}

/** A log that is one blob, from an offset on. */
export async function* blobPieces(log: SealedLog, from: number, store: BlobStore, signal: AbortSignal): AsyncGenerator<LogPiece> {
  const endBytes = sizeOf(log.digest);
  refuseBeyond(from, endBytes);
  let offset = from;
  if (from < endBytes) {
    try {
      for await (const bytes of store.get(log.digest, { offset: from }, signal)) {
        for (const piece of split(bytes)) {
          yield { offset, bytes: piece, complete: false, truncated: log.truncated };
          offset += piece.byteLength;
        }
      }
    } catch (error) {
      if (isFault(error, 'BLOB_UNKNOWN')) throw new Fault('LOG_UNKNOWN', 'The log is not kept any more', { cause: error });
      throw error;
    }
  }
  yield { offset, bytes: new Uint8Array(0), complete: true, truncated: log.truncated };
}

/** A log that is segments and chunks, from an offset on, as it is now. */
export async function* readStored(log: StoredLog, from: number, store: BlobStore, signal: AbortSignal): AsyncGenerator<LogPiece> {
  refuseBeyond(from, endOf(log));
  let offset = from;
  for (const segment of log.segments) {
    if (segment.offset + sizeOf(segment.digest) <= offset) continue;
    for await (const bytes of store.get(segment.digest, { offset: offset - segment.offset }, signal)) {
      for (const piece of split(bytes)) {
        yield { offset, bytes: piece, complete: false, truncated: false };
        offset += piece.byteLength;
      }
    }
  }
  for (const chunk of log.chunks) {
    if (chunk.offset + chunk.bytes.byteLength <= offset) continue;
    for (const piece of split(chunk.bytes.subarray(offset - chunk.offset))) {
      yield { offset, bytes: piece, complete: false, truncated: false };
      offset += piece.byteLength;
    }
  }
  yield { offset, bytes: new Uint8Array(0), complete: true, truncated: false };
}

function refuseBeyond(offset: number, endBytes: number): void {
  if (offset > endBytes) throw new Fault('OUT_OF_RANGE', `offset is ${offset}, but the log ends at ${endBytes}`, { field: 'offset' });
}

function* split(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += PIECE_BYTES_MAX) yield bytes.subarray(start, start + PIECE_BYTES_MAX);
}
