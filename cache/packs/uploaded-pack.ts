import { Fault, isFault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { PackName } from '../store-index/store-index.ts';
import { verifyBytes } from '../verify.ts';
import { readFooter } from './footer-reader.ts';
import { PACK_ROWS_MAX, type Footer, type FooterFrame, type FooterRow } from './format.ts';
import { decodeFrame } from './frame.ts';
import { uploadKey } from './names.ts';
import type { PackMaker } from './pack-commit.ts';

const MIB = 1024 * 1024;
/** Most bytes of a pack that an agent puts. */
export const UPLOAD_BYTES_MAX = 64 * MIB;
/** Most bytes that all its frames decode to: bounds what looking at it costs, whatever it claims. */
export const UPLOAD_RAW_BYTES_MAX = 128 * MIB;

/** A pack as it was to be: who may have made it, and how long it was to be. */
export type AwaitedPack = { readonly name: PackName; readonly maker: PackMaker; readonly sizeBytes: number };

/**
 * Looks at a pack that somebody put whom nobody trusts: decodes each frame and hashes each blob, in one pass and with two frames in
 * memory. Only whole blobs may be in it: what a recipe names lies elsewhere. Returns its footer, all of whose rows are true.
 * @throws {Fault} OBJECT_UNKNOWN; DIGEST_MISMATCH naming what is wrong; FORBIDDEN for another owner or producer; STORE_UNAVAILABLE
 */
export async function checkUploaded(objects: ObjectStore, pack: AwaitedPack, signal: AbortSignal): Promise<Footer> {
  const { name, sizeBytes } = pack;
  const key = uploadKey(name);
  const info = await objects.head(key, signal);
  if (info === undefined) throw new Fault('OBJECT_UNKNOWN', `The upload ${name} is not in the bucket`);
  if (info.sizeBytes !== sizeBytes) throw refused(name, `it has ${info.sizeBytes} bytes, and was to have ${sizeBytes}`);
  try {
    const footer = await readFooter(objects, name, sizeBytes, signal, key);
    checkClaims(pack, footer);
    const rowsOf = Map.groupBy(footer.rows, (row) => row.frame);
    const stored = footer.frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    for await (const { index, frame, bytes } of framesOf(footer.frames, objects.get(key, { offset: 0, length: stored }, signal))) {
      const raw = await decodeFrame({ ...frame, pack: name, offset: 0 }, bytes);
      for (const { digest, offset, length } of rowsOf.get(index) ?? [])
        verifyBytes(digest, raw.subarray(offset, offset + length), 'DIGEST_MISMATCH');
    }
    return footer;
  } catch (error) {
    if (isFault(error, 'BLOB_CORRUPT') || isFault(error, 'PROTOCOL_UNSUPPORTED')) throw refused(name, error.message, error);
    throw error;
  }
}

function checkClaims({ name, maker }: AwaitedPack, { owner, producer, frames, rows }: Footer): void {
  const { project, scope } = maker.owner;
  if (owner.project !== project || owner.scope !== scope || producer !== maker.producer) {
    const claim = `${owner.project}/${owner.scope} by ${producer}`;
    throw new Fault('FORBIDDEN', `The upload ${name} says that it is of ${claim}; it is of ${project}/${scope} by ${maker.producer}`);
  }
  const rawBytes = frames.reduce((sum, frame) => sum + frame.rawBytes, 0);
  if (rawBytes > UPLOAD_RAW_BYTES_MAX) throw refused(name, `its frames claim to decode to ${rawBytes} bytes`);
  if (rows.length === 0 || rows.length > PACK_ROWS_MAX) throw refused(name, `it has ${rows.length} blobs`);
  if (frames.some(({ storedBytes }) => storedBytes === 0)) throw refused(name, 'a frame of it has no bytes');
  if (rows.some(({ kind }) => kind !== 'bytes')) throw refused(name, 'it has recipes of large blobs');
  // Blobs lie one beside the other: else a few bytes could be hashed without end.
  if (sumOf(rows) > rawBytes) throw refused(name, 'its blobs overlap');
}

function sumOf(rows: readonly FooterRow[]): number {
  return rows.reduce((sum, { length }) => sum + length, 0);
}

type StoredFrame = { readonly index: number; readonly frame: FooterFrame; readonly bytes: Uint8Array };

/** The stored bytes of each frame out of those of all of them. The buffer is the consumer's. */
async function* framesOf(frames: readonly FooterFrame[], source: AsyncIterable<Uint8Array>): AsyncGenerator<StoredFrame, void, undefined> {
  let index = 0;
  let frame = frames[index];
  let bytes = Buffer.allocUnsafeSlow(frame?.storedBytes ?? 0);
  let filled = 0;
  for await (const chunk of source) {
    for (let taken = 0; taken < chunk.byteLength && frame !== undefined;) {
      const step = Math.min(chunk.byteLength - taken, frame.storedBytes - filled);
      bytes.set(chunk.subarray(taken, taken + step), filled);
      taken += step;
      filled += step;
      if (filled < frame.storedBytes) continue;
      yield { index, frame, bytes };
      index += 1;
      frame = frames[index];
      bytes = Buffer.allocUnsafeSlow(frame?.storedBytes ?? 0);
      filled = 0;
    }
  }
}

function refused(name: PackName, why: string, cause?: unknown): Fault {
  return new Fault('DIGEST_MISMATCH', `The upload ${name} is refused: ${why}`, cause === undefined ? {} : { cause });
}
