import { Fault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { EntryKey, StoreIndex } from '../store-index/store-index.ts';
import { lastEpoch } from './epoch-marks.ts';

/**
 * Takes an entry away for good: its signed object first, then its row and references. Broken off between the two, the row is left,
 * and whoever comes next does it again; the other way round a rebuild would bring the entry back. Whether it was there.
 * @throws {Fault} STORE_UNAVAILABLE also where the index is not the one that the store was opened with last
 */
export async function expireEntry(
  objects: ObjectStore,
  index: StoreIndex,
  entry: EntryKey & { readonly object: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { epoch } = await index.epoch(signal);
  // What a server says that was cut off and replaced is old: the entry may have been used, or written, since.
  if ((await lastEpoch(objects, signal)) !== epoch) {
    throw new Fault('STORE_UNAVAILABLE', "The store's index has just begun anew, or this process is connected to an old one", {
      retryAfterMs: 1_000,
    });
  }
  await objects.delete(entry.object, signal);
  return await index.dropEntry(entry, signal);
}

/**
 * Deletes the signed object of an entry that another has replaced, which was published in `epoch`. Where the index has begun anew
 * since, it may not know of that any more: then the object stays, and a scrub finds it if it is left over.
 */
export async function deleteReplaced(
  objects: ObjectStore,
  index: StoreIndex,
  replaced: { readonly object: string; readonly epoch: string },
  signal: AbortSignal,
): Promise<void> {
  const { epoch, open } = await index.epoch(signal);
  if (open && epoch === replaced.epoch && (await lastEpoch(objects, signal)) === epoch) await objects.delete(replaced.object, signal);
}
