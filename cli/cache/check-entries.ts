import type { CheckedEntry, EntryAdmin } from '../../cache/rpc/entry-admin.ts';
import type { EntryKey } from '../../cache/store-index/store-index.ts';

/** What reading entries has shown, over all of them. */
export type CheckedEntries = {
  readonly entryCount: number;
  /** Entries that had gone when their turn came. */
  readonly goneCount: number;
  readonly blobCount: number;
  readonly readBytes: number;
  readonly broken: readonly CheckedEntry[];
};

/** Entries that the data plane reads at once for us; each reads some blobs at once. */
const AT_ONCE = 4;

/**
 * Has the data plane read all blobs of the entries, which `instanceName` reads; `onChecked` hears of each as it comes, and how many came so
 * far. @throws {Fault} what the data plane says, STORE_UNAVAILABLE among it: a store in trouble is no damage
 */
export async function checkEntries(
  admin: Pick<EntryAdmin, 'check'>,
  instanceName: string,
  names: readonly EntryKey[],
  onChecked: (doneCount: number) => void,
  signal: AbortSignal,
): Promise<CheckedEntries> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const total = { entryCount: 0, goneCount: 0, blobCount: 0, readBytes: 0 };
  const broken: CheckedEntry[] = [];
  const waiting = names[Symbol.iterator]();
  const work = async () => {
    for (const at of waiting) {
      const checked = await admin.check(instanceName, at, either);
      if (checked === undefined) total.goneCount += 1;
      else {
        total.entryCount += 1;
        total.blobCount += checked.blobCount;
        total.readBytes += checked.readBytes;
        if (checked.missingCount + checked.damagedCount > 0) broken.push(checked);
      }
      onChecked(total.entryCount + total.goneCount);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    stop.abort();
  }
  return { ...total, broken };
}
