import { forEachWithin } from '../byte-budget.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { isFault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { PackName, StoreIndex } from '../store-index/store-index.ts';
import { readFooter } from './footer-reader.ts';
import { packOf } from './format.ts';
import { PACK_PREFIX, packOfKey, parsePackName } from './names.ts';

/** Prefix of condemn records: `c/<pack>`. */
const CONDEMNED_PREFIX = 'c/';
const FOOTERS_AT_ONCE = 16;
const BATCH_COUNT = 1_000;

export type Rebuilt = {
  readonly packs: number;
  readonly blobs: number;
  /** Packs that are condemned, and so were not taken up. */
  readonly condemned: number;
  /** Packs that were left out, and why: damaged, cut off, of a newer format. Their objects stay. */
  readonly refused: readonly { readonly key: string; readonly why: string }[];
};

export type RebuildOptions = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  /** Takes up the signed entries, once all packs are known: see `restoreEntry`. */
  readonly restoreEntries: (signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
};

/**
 * Fills an index from the store. While it is closed: condemn records, and packs that it believes in whose objects are gone, so that nothing
 * which may be deleted is promised to anybody. Then it is opened, before the packs are known: what is not known yet is missing, and
 * stored again at worst. Then the packs, by their footers, and the entries; then it is complete. An index that is open and complete is
 * left alone; begun again, it goes on where the index says that it was.
 * @throws {Fault} STORE_UNAVAILABLE; WRONG_STATE where the index begins another epoch meanwhile: begin again
 */
export async function rebuildIndex(options: RebuildOptions, signal: AbortSignal): Promise<Rebuilt> {
  const { objects, index, restoreEntries, log } = options;
  const state = await index.epoch(signal);
  const rebuilt: Progress = { packs: 0, blobs: 0, condemned: 0, refused: [] };
  if (state.open && state.complete) return rebuilt;
  log.info('index-rebuild-begins', { epoch: state.epoch, open: state.open });
  const condemned = await condemnedPacks(objects, signal);
  if (!state.open) {
    await replay(index, state.epoch, condemned, signal);
    await replay(index, state.epoch, livePacksWithoutObject(objects, index, signal), signal);
    await index.open(state.epoch, signal);
  }
  const begunAt = await index.now(signal);
  let batch: PackObject[] = [];
  for await (const pack of packObjects(objects, (key) => rebuilt.refused.push({ key, why: 'Its name is not that of a pack' }), signal)) {
    if (condemned.has(pack.name)) rebuilt.condemned += 1;
    else if (batch.push(pack) >= BATCH_COUNT) {
      await takeUp(options, batch, begunAt, rebuilt, signal);
      batch = [];
    }
  }
  await takeUp(options, batch, begunAt, rebuilt, signal);
  await restoreEntries(signal);
  await index.complete(state.epoch, signal);
  log.info('index-rebuilt', { ...rebuilt, refused: rebuilt.refused.length });
  return rebuilt;
}

type Progress = { packs: number; blobs: number; condemned: number; refused: { readonly key: string; readonly why: string }[] };

type PackObject = { readonly key: string; readonly name: PackName; readonly sizeBytes: number };

/** Reads the footers of packs and adds them to the index. What is damaged is reported and left out. */
async function takeUp(
  { objects, index, log }: RebuildOptions,
  packs: readonly PackObject[],
  begunAt: TimeMs,
  rebuilt: Progress,
  signal: AbortSignal,
): Promise<void> {
  const one = async ({ key, name, sizeBytes }: PackObject, either: AbortSignal) => {
    try {
      const pack = packOf(name, sizeBytes, await readFooter(objects, name, sizeBytes, either), begunAt);
      await index.addPack(pack, undefined, either);
      rebuilt.packs += 1;
      rebuilt.blobs += pack.rows.length;
    } catch (error) {
      if (isFault(error, 'PACK_GONE') || isFault(error, 'OBJECT_UNKNOWN')) rebuilt.condemned += 1;
      else if (isFault(error, 'BLOB_CORRUPT') || isFault(error, 'PROTOCOL_UNSUPPORTED')) {
        log.error('pack-refused', { key, error });
        rebuilt.refused.push({ key, why: error.message });
      } else throw error;
    }
  };
  await forEachWithin(packs, FOOTERS_AT_ONCE, () => 1, one, signal);
}

async function replay(
  index: StoreIndex,
  epoch: string,
  names: Iterable<PackName> | AsyncIterable<PackName>,
  signal: AbortSignal,
): Promise<void> {
  let batch: PackName[] = [];
  for await (const name of names) {
    if (batch.push(name) < BATCH_COUNT) continue;
    await index.replayCondemned(batch, epoch, signal);
    batch = [];
  }
  if (batch.length > 0) await index.replayCondemned(batch, epoch, signal);
}

/** Packs that the index has and the store does not: it has forgotten that they were deleted. Both come in the order of their names. */
async function* livePacksWithoutObject(
  objects: ObjectStore,
  index: StoreIndex,
  signal: AbortSignal,
): AsyncGenerator<PackName, void, undefined> {
  let there: AsyncGenerator<PackObject, void, undefined> | undefined;
  let object: IteratorResult<PackObject, void> | undefined;
  try {
    for (let after: PackName | undefined; ;) {
      const known = await index.packs({ state: 'live' }, after, BATCH_COUNT, signal);
      if (known.length === 0) return;
      there ??= packObjects(objects, () => {}, signal); // an index that knows nothing needs no list
      object ??= await there.next();
      for (const { name } of known) {
        while (object.done !== true && object.value.name < name) object = await there.next();
        if (object.done === true || object.value.name !== name) yield name;
      }
      after = known.at(-1)?.name;
    }
  } finally {
    await there?.return();
  }
}

/** The objects of packs, in the order of their names. */
async function* packObjects(
  objects: ObjectStore,
  onOther: (key: string) => void,
  signal: AbortSignal,
): AsyncGenerator<PackObject, void, undefined> {
  for await (const { key, sizeBytes } of objects.list(PACK_PREFIX, {}, signal)) {
    const name = packOfKey(key);
    if (name === undefined) onOther(key);
    else yield { key, name, sizeBytes };
  }
}

async function condemnedPacks(objects: ObjectStore, signal: AbortSignal): Promise<ReadonlySet<PackName>> {
  const names = new Set<PackName>();
  for await (const { key } of objects.list(CONDEMNED_PREFIX, {}, signal)) {
    const name = parsePackName(key.slice(CONDEMNED_PREFIX.length));
    if (name !== undefined) names.add(name);
  }
  return names;
}
