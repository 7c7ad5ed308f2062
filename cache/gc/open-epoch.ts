import { dirname } from 'node:path/posix';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { forEachWithin } from '../byte-budget.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { PACK_PREFIX, packOfKey } from '../packs/names.ts';
import type { EntryKey, PackName, StoreIndex } from '../store-index/store-index.ts';
import { condemnRecords, putCondemnRecord } from './condemn-records.ts';
import { epochMarks, markEpoch } from './epoch-marks.ts';

export type OpenEpochOptions = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly env: Env;
  /** The collectors' grace time: what is read here must be no older when the epoch is marked. */
  readonly graceMs: number;
};

const BATCH = 1_000;
const AT_ONCE = 8;
/** Rounds after which a store counts as too slow. */
const ROUNDS_MAX = 5;

/**
 * Lets everybody into an index of a new epoch: after everything was condemned in it that may be deleted by now, whatever its
 * former self has forgotten. An index that is open is left alone; several may do this at once. In this order:
 *
 * 1. Live packs whose objects are gone are condemned; published entries are dropped whose objects are gone, or of which the store has a
 *    newer version, which the rebuild takes up in their place.
 * 2. The condemn records of the epoch that was opened last are written again under this epoch, and replayed.
 * 3. The epoch is marked as the last one, no later than one grace time after 2 began: see `docs/cache.md`.
 * 4. The index is opened.
 * @throws {Fault} STORE_UNAVAILABLE; WRONG_STATE where yet another epoch has begun: begin again
 */
export async function openEpoch({ objects, index, env, graceMs }: OpenEpochOptions, signal: AbortSignal): Promise<void> {
  const { epoch, open } = await index.epoch(signal);
  if (open) return;
  try {
    const missing = await condemnMissing(objects, index, epoch, signal);
    const dropped = await dropPastEntries(objects, index, signal);
    for (let round = 1; ; round += 1) {
      const startedAt = env.clock.monotonic();
      const marks = await epochMarks(objects, signal);
      // Refused where the index has begun another epoch since the marks were read.
      await index.replayCondemned([], epoch, signal);
      const replayed = await replayRecords(objects, index, epoch, marks.at(-1)?.epoch, signal);
      await markEpoch(objects, epoch, marks, signal);
      if (env.clock.monotonic() - startedAt < graceMs) {
        env.log.info('store-index-opened', { epoch, replayed, missing, dropped });
        break;
      }
      env.log.warn('store-index-slow-to-open', { epoch, round });
      if (round === ROUNDS_MAX) {
        throw new Fault('STORE_UNAVAILABLE', 'The store is too slow to make its index ready within the grace time of garbage collection');
      }
    }
    await index.open(epoch, signal);
  } catch (error) {
    // Where another process has opened it meanwhile, all of this was done.
    const now = await index.epoch(signal);
    if (now.epoch !== epoch || !now.open) throw error;
  }
}

/** Condemns live packs without an object: the index has forgotten that they were deleted. How many. */
async function condemnMissing(objects: ObjectStore, index: StoreIndex, epoch: string, signal: AbortSignal): Promise<number> {
  const there = packNames(objects, signal);
  let count = 0;
  try {
    let object: IteratorResult<PackName, void> | undefined;
    for (let after: PackName | undefined; ;) {
      const known = await index.packs({ state: 'live' }, after, BATCH, signal);
      after = known.at(-1)?.name;
      if (after === undefined) return count;
      const missing: PackName[] = [];
      for (const { name } of known) {
        object ??= await there.next();
        while (object.done !== true && object.value < name) object = await there.next();
        if (object.done === true || object.value !== name) missing.push(name);
      }
      if (missing.length > 0) await index.replayCondemned(missing, epoch, signal);
      count += missing.length;
    }
  } finally {
    await there.return();
  }
}

async function* packNames(objects: ObjectStore, signal: AbortSignal): AsyncGenerator<PackName, void, undefined> {
  for await (const { key } of objects.list(PACK_PREFIX, {}, signal)) {
    const name = packOfKey(key);
    if (name !== undefined) yield name;
  }
}

/**
 * Drops published entries whose signed object is gone, or is not the newest of its name: the index has forgotten that they were dropped
 * or replaced. Lists are older than the rows that are compared with them, so that what is not in one is looked at again: an entry is
 * published only once its object is there.
 */
async function dropPastEntries(objects: ObjectStore, index: StoreIndex, signal: AbortSignal): Promise<number> {
  let count = 0;
  let listed: string | undefined;
  /** By the name's part of their keys. */
  const newest = new Map<string, string>();
  for (let after: EntryKey | undefined; ;) {
    const page = await index.entries({ state: 'published' }, after, BATCH, signal);
    after = page.at(-1)?.at;
    if (after === undefined) return count;
    for (const { at, object } of page) {
      // Objects lie at <owner and kind>/<hash of the key>/<version>, and pages come by owner and kind.
      const prefix = `${dirname(dirname(object))}/`;
      if (prefix !== listed) {
        newest.clear();
        for await (const { key } of objects.list(prefix, {}, signal)) newest.set(dirname(key), key); // in their order
        listed = prefix;
      }
      const last = newest.get(dirname(object)) ?? '';
      if (last === object || (last < object && (await objects.head(object, signal)) !== undefined)) continue;
      if (await index.dropEntry({ ...at, object }, signal)) count += 1;
    }
  }
}

/** Writes the records that count again under the new epoch, then condemns their packs in it. How many. */
async function replayRecords(
  objects: ObjectStore,
  index: StoreIndex,
  epoch: string,
  last: string | undefined,
  signal: AbortSignal,
): Promise<number> {
  const [condemned, copied] = [new Set<PackName>(), new Set<PackName>()];
  for await (const record of condemnRecords(objects, signal)) {
    if (record.epoch === epoch) copied.add(record.pack);
    // Without any mark nobody ever opened the store's index: every record counts.
    if (last === undefined || record.epoch === last || record.epoch === epoch) condemned.add(record.pack);
  }
  const copy = (pack: PackName, either: AbortSignal) => putCondemnRecord(objects, pack, epoch, either);
  const missing = [...condemned].filter((pack) => !copied.has(pack));
  await forEachWithin(missing, AT_ONCE, () => 1, copy, signal);
  const all = [...condemned];
  for (let from = 0; from < all.length; from += BATCH) await index.replayCondemned(all.slice(from, from + BATCH), epoch, signal);
  return all.length;
}
