import { Fault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { PackName } from '../store-index/store-index.ts';
import { decodeFooter, decodeTrailer, TRAILER_BYTES, type Footer } from './format.ts';
import { packKey } from './names.ts';

/** The end of a pack that is fetched first: footer and trailer of all but packs of very many blobs. */
const TAIL_BYTES = 256 * 1024;

/**
 * The footer of a pack of `sizeBytes`, whose object is `key`, from one request for its end, or two where it is long.
 * @throws {Fault} BLOB_CORRUPT where the pack is damaged or cut off; PROTOCOL_UNSUPPORTED where a newer version wrote it;
 * OBJECT_UNKNOWN, STORE_UNAVAILABLE.
 */
export async function readFooter(
  objects: ObjectStore,
  name: PackName,
  sizeBytes: number,
  signal: AbortSignal,
  key = packKey(name),
): Promise<Footer> {
  const tailStart = Math.max(0, sizeBytes - TAIL_BYTES);
  const tail = await readRange(objects, { name, key }, tailStart, sizeBytes - tailStart, signal);
  const trailer = decodeTrailer(name, sizeBytes, tail);
  const { footerOffset, storedBytes } = trailer;
  const isThere = footerOffset >= tailStart;
  const stored = isThere
    ? tail.subarray(footerOffset - tailStart, tail.byteLength - TRAILER_BYTES)
    : await readRange(objects, { name, key }, footerOffset, storedBytes, signal);
  return decodeFooter(name, trailer, stored);
}

async function readRange(
  objects: ObjectStore,
  { name, key }: { readonly name: PackName; readonly key: string },
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  if (length === 0) return bytes;
  try {
    for await (const chunk of objects.get(key, { offset, length }, signal)) {
      bytes.set(chunk, at); // an object store gives no more than it was asked for
      at += chunk.byteLength;
    }
  } catch (error) {
    if (error instanceof Fault && error.code === 'OUT_OF_RANGE')
      throw new Fault('BLOB_CORRUPT', `Pack ${name} is shorter than it was`, { cause: error });
    throw error;
  }
  return bytes;
}
