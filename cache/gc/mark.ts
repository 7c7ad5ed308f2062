import type { EntryKey, PackName, StoreIndex } from '../store-index/store-index.ts';

/** A pack whose count of references is not the number of entries that need it. `counted` may be of a pack that is not live. */
export type Mismatch = { readonly pack: PackName; readonly refCount: number; readonly counted: number; readonly isLive: boolean };

const PAGE = 1_000;

/**
 * Counts the references of all packs anew, from the entries, and names those that the index counts otherwise. Entries come and go
 * meanwhile: only what two counts in a row say alike counts as wrong.
 */
export async function markReferences(index: StoreIndex, signal: AbortSignal): Promise<readonly Mismatch[]> {
  const first = await countOnce(index, signal);
  if (first.length === 0) return [];
  const again = new Map((await countOnce(index, signal)).map((mismatch) => [mismatch.pack, mismatch]));
  return first.filter(({ pack, refCount, counted, isLive }) => {
    const other = again.get(pack);
    return other !== undefined && other.refCount === refCount && other.counted === counted && other.isLive === isLive;
  });
}

async function countOnce(index: StoreIndex, signal: AbortSignal): Promise<readonly Mismatch[]> {
  const counts = new Map<PackName, number>();
  for (let after: EntryKey | undefined; ;) {
    const page = await index.entries({}, after, PAGE, signal);
    after = page.at(-1)?.at;
    if (after === undefined) break;
    for (const { packs } of page) for (const pack of packs) counts.set(pack, (counts.get(pack) ?? 0) + 1);
  }
  const found: Mismatch[] = [];
  for (let after: PackName | undefined; ;) {
    const page = await index.packs({}, after, PAGE, signal);
    after = page.at(-1)?.name;
    if (after === undefined) break;
    for (const { name, refCount, state } of page) {
      const counted = counts.get(name) ?? 0;
      counts.delete(name);
      const isLive = state === 'live';
      if (counted !== refCount || (counted > 0 && !isLive)) found.push({ pack: name, refCount, counted, isLive });
    }
  }
  for (const [pack, counted] of counts) found.push({ pack, refCount: 0, counted, isLive: false });
  return found;
}
