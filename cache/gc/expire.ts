import type { ObjectStore } from '../objects/object-store.ts';
import type { EntryKey, StoreIndex } from '../store-index/store-index.ts';

/**
 * Takes an entry away for good: its signed object first, then its row and references. Broken off between the two, the row is left,
 * and whoever comes next does it again; the other way round a rebuild would bring the entry back. Whether it was there.
 */
export async function expireEntry(
  objects: ObjectStore,
  index: StoreIndex,
  entry: EntryKey & { readonly object: string },
  signal: AbortSignal,
): Promise<boolean> {
  await objects.delete(entry.object, signal);
  return await index.dropEntry(entry, signal);
}
