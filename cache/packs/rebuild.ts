import { forEachWithin } from '../byte-budget.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { PackName, StoreIndex } from '../store-index/store-index.ts';
import { readFooter } from './footer-reader.ts';
import { packOf } from './format.ts';
import { PACK_PREFIX, packOfKey } from './names.ts';
import { openEpoch } from '../gc/open-epoch.ts';

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
  /** Takes up the signed entries in this epoch, once all packs are known: see `restoreEntry`. @throws {Fault} as `fillIndex` */
  readonly restoreEntries: (epoch: string, signal: AbortSignal) => Promise<void>;
  readonly env: Env;
  /** As garbage collection has it. */
  readonly graceMs: number;
};

/**
 * Makes an index whole again from the store: it is opened (see `openEpoch`) and then filled. Readers are let in before the packs are
 * known: what is not known yet is missing to them, and stored again at worst. One that is open and complete is left alone.
 * @throws {Fault} as `openEpoch` and `fillIndex`
 */
export async function rebuildIndex(options: RebuildOptions, signal: AbortSignal): Promise<Rebuilt> {
  await openEpoch(options, signal);
  return await fillIndex(options, signal);
}

/**
 * Adds all packs to an open index by their footers, then the entries; after that what the index does not know is garbage. Begun
 * again, it does all of it again, which changes nothing that is there.
 * @throws {Fault} STORE_UNAVAILABLE; WRONG_STATE where the index began another epoch: begin again
 */
export async function fillIndex(options: RebuildOptions, signal: AbortSignal): Promise<Rebuilt> {
  const { objects, index, restoreEntries, env } = options;
  const state = await index.epoch(signal);
  const rebuilt: Progress = { packs: 0, blobs: 0, condemned: 0, refused: [] };
  if (state.complete) return rebuilt;
  env.log.info('index-rebuild-begins', { epoch: state.epoch });
  const begunAt = await index.now(signal);
  let batch: PackObject[] = [];
  for await (const { key, sizeBytes } of objects.list(PACK_PREFIX, {}, signal)) {
    const name = packOfKey(key);
    if (name === undefined) rebuilt.refused.push({ key, why: 'Its name is not that of a pack' });
    else if (batch.push({ key, name, sizeBytes }) >= BATCH_COUNT) {
      await takeUp(options, batch, begunAt, rebuilt, signal);
      batch = [];
    }
  }
  await takeUp(options, batch, begunAt, rebuilt, signal);
  await restoreEntries(state.epoch, signal);
  await index.complete(state.epoch, signal);
  env.log.info('index-rebuilt', { ...rebuilt, refused: rebuilt.refused.length });
  return rebuilt;
}

type Progress = { packs: number; blobs: number; condemned: number; refused: { readonly key: string; readonly why: string }[] };

type PackObject = { readonly key: string; readonly name: PackName; readonly sizeBytes: number };

/** Reads the footers of packs and adds them to the index. What is damaged is reported and left out. */
async function takeUp(
  { objects, index, env }: RebuildOptions,
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
        env.log.error('pack-refused', { key, error });
        rebuilt.refused.push({ key, why: error.message });
      } else throw error;
    }
  };
  await forEachWithin(packs, FOOTERS_AT_ONCE, () => 1, one, signal);
}
