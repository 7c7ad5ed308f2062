import type { ObjectInfo, ObjectStore } from '../objects/object-store.ts';
import { parsePackName } from '../packs/names.ts';
import type { PackName } from '../store-index/store-index.ts';

/**
 * Condemn records: `c/<pack>/<epoch>` says that the index of that epoch has condemned the pack. Written before the pack's grace
 * time begins, so that the condemnation survives the index. They name the epoch because only those of the epoch that was opened
 * last count: a record that was on its way while the index lost the condemnation, and arrives late, says nothing.
 */
export type CondemnRecord = { readonly pack: PackName; readonly epoch: string; readonly key: string; readonly modifiedAt: number };

const PREFIX = 'c/';
const EPOCH = /^[0-9a-f]{32}$/;

/** Makes the record, durably. Idempotent. @throws {Fault} as `ObjectStore.put` */
export async function putCondemnRecord(objects: ObjectStore, pack: PackName, epoch: string, signal: AbortSignal): Promise<void> {
  await objects.put(keyOf(pack, epoch), Buffer.from(`condemned ${pack} in ${epoch}\n`), { ifAbsent: false }, signal);
}

/** All records, or those of a pack, in the order of their keys. Objects that are none are left out. */
export async function* condemnRecords(
  objects: ObjectStore,
  signal: AbortSignal,
  pack?: PackName,
): AsyncGenerator<CondemnRecord, void, undefined> {
  for await (const info of objects.list(pack === undefined ? PREFIX : `${PREFIX}${pack}/`, {}, signal)) {
    const record = recordOf(info);
    if (record !== undefined) yield record;
  }
}

export async function removeCondemnRecord(objects: ObjectStore, record: CondemnRecord, signal: AbortSignal): Promise<void> {
  await objects.delete(record.key, signal);
}

function keyOf(pack: PackName, epoch: string): string {
  return `${PREFIX}${pack}/${epoch}`;
}

function recordOf({ key, modifiedAt }: ObjectInfo): CondemnRecord | undefined {
  const [, packText = '', epoch = '', ...more] = key.split('/');
  const pack = parsePackName(packText);
  if (pack === undefined || !EPOCH.test(epoch) || more.length > 0) return undefined;
  return { pack, epoch, key, modifiedAt };
}
