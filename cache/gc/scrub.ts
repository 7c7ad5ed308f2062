import { forEachWithin } from '../byte-budget.ts';
import { ENTRY_PREFIX } from '../entries/object-name.ts';
import { PACK_PREFIX, packOfKey, UPLOAD_PREFIX } from '../packs/names.ts';
import type { PackName, StoreIndex } from '../store-index/store-index.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Collector } from './collector.ts';
import { condemnRecords, removeCondemnRecord } from './condemn-records.ts';
import { epochMarks } from './epoch-marks.ts';

const BATCH = 1_000;
/** Marks that are kept: one comes with each epoch, which is a restart of Redis or of the host. */
const MARKS_KEPT = 16;

/** An object of a pack that the index does not know. */
export type OrphanPack = { readonly name: PackName; readonly sizeBytes: number; readonly modifiedAt: number };

/**
 * Goes through everything in the store, once a day: what no row of the index names, and is older than any upload takes, is garbage.
 * Packs among it are condemned first, like any other, so that a writer who is only slow finds out and stores its blobs again.
 * The index must be complete and of `epoch`.
 */
export async function scrub(collector: Collector, epoch: string, signal: AbortSignal): Promise<void> {
  const { options, counts } = collector;
  const { objects, index, settings } = options;
  const before = (await index.now(signal)) - settings.orphanMs;
  for await (const { name, modifiedAt } of orphanPacks(objects, index, signal)) {
    if (modifiedAt > before) continue;
    if (await index.condemn(name, epoch, 0, signal)) counts.orphanPacks += 1;
  }
  for await (const keys of orphanEntries(objects, index, before, signal)) {
    if (keys.length > 0 && !(await collector.isOwn(epoch, signal))) return;
    await forEachWithin(
      keys,
      settings.atOnce,
      () => 1,
      (key, either) => objects.delete(key, either),
      signal,
    );
    counts.orphanObjects += keys.length;
  }
  await removeOldRecords(collector, epoch, before, signal);
  await abortUploads(collector, before, signal);
  // Packs that agents put and never committed. No row ever names one of these objects.
  for await (const { key, modifiedAt } of objects.list(UPLOAD_PREFIX, {}, signal)) {
    if (modifiedAt > before || !(await collector.isOwn(epoch, signal))) continue;
    await objects.delete(key, signal);
    counts.orphanObjects += 1;
  }
  // Rows of packs that have gone.
  while (await index.sweep(signal)) signal.throwIfAborted();
}

/** Packs in the store that the index does not know, in the order of their names. */
export async function* orphanPacks(
  objects: ObjectStore,
  index: StoreIndex,
  signal: AbortSignal,
): AsyncGenerator<OrphanPack, void, undefined> {
  let batch: OrphanPack[] = [];
  let from: PackName | undefined;
  const unknown = async () => {
    const last = batch.at(-1)?.name;
    const known = new Set<PackName>();
    for (let after = from; batch.length > 0;) {
      const rows = await index.packs({}, after, BATCH, signal);
      for (const { name } of rows) known.add(name);
      after = rows.at(-1)?.name;
      if (after === undefined || last === undefined || after >= last) break;
    }
    const found = batch.filter(({ name }) => !known.has(name));
    from = last;
    batch = [];
    return found;
  };
  for await (const { key, sizeBytes, modifiedAt } of objects.list(PACK_PREFIX, {}, signal)) {
    const name = packOfKey(key);
    if (name === undefined) continue;
    if (batch.push({ name, sizeBytes, modifiedAt }) === BATCH) yield* await unknown();
  }
  yield* await unknown();
}

/** Signed objects of entries that the index does not know, older than `before`: replaced or dropped ones that were left over. */
export async function* orphanEntries(
  objects: ObjectStore,
  index: StoreIndex,
  before: number,
  signal: AbortSignal,
): AsyncGenerator<readonly string[], void, undefined> {
  let batch: string[] = [];
  const unknown = async () => {
    const known = await index.knownObjects(batch, signal);
    const found = batch.filter((key) => !known.has(key));
    batch = [];
    return found;
  };
  for await (const { key, modifiedAt } of objects.list(ENTRY_PREFIX, {}, signal)) {
    if (modifiedAt > before) continue;
    if (batch.push(key) === BATCH) yield await unknown();
  }
  yield await unknown();
}

/**
 * Removes records that say nothing any more: of epochs before this one (those that counted were written again under this one), of
 * none that was ever opened, and of packs that are forgotten. And marks that are long over.
 */
async function removeOldRecords(collector: Collector, epoch: string, before: number, signal: AbortSignal): Promise<void> {
  const { objects, index } = collector.options;
  const marks = await epochMarks(objects, signal);
  const own = marks.findLastIndex((mark) => mark.epoch === epoch);
  if (own < 0) return; // it has begun anew meanwhile
  const earlier = new Set(marks.slice(0, own).map((mark) => mark.epoch));
  const later = new Set(marks.slice(own).map((mark) => mark.epoch));
  for await (const record of condemnRecords(objects, signal)) {
    const isOld = record.modifiedAt < before;
    let isOver = !later.has(record.epoch) && (earlier.has(record.epoch) || isOld);
    if (record.epoch === epoch && isOld) isOver = await isForgotten(index, record.pack, signal);
    if (!isOver) continue;
    if (!(await collector.isOwn(epoch, signal))) return;
    await removeCondemnRecord(objects, record, signal);
  }
  for (const { key } of marks.slice(0, Math.max(0, own - MARKS_KEPT))) await objects.delete(key, signal);
}

/** Uploads in parts that a killed writer left: what they have sent takes room, and nobody sees it. */
async function abortUploads({ options: { objects }, counts }: Collector, before: number, signal: AbortSignal): Promise<void> {
  for (const prefix of [PACK_PREFIX, ENTRY_PREFIX]) counts.uploadsAborted += await objects.abortUploads(prefix, before, signal);
}

async function isForgotten(index: StoreIndex, pack: PackName, signal: AbortSignal): Promise<boolean> {
  // The name just before it: lists begin after a name.
  const before = (BigInt(`0x${pack}`) - 1n).toString(16).padStart(32, '0') as PackName; // 32 hex digits, but for a pack of only zeros
  if (before.length !== pack.length || before.startsWith('-')) return false;
  const [row] = await index.packs({}, before, 1, signal);
  return row?.name !== pack;
}
