import { forEachWithin } from '../byte-budget.ts';
import { Fault } from '../../base/fault.ts';
import { parsePackName } from '../packs/names.ts';
import { sizeOf } from '../digest.ts';
import type { NewEntry } from '../store-index/store-index.ts';
import { VALUE_BYTES_MAX } from './check.ts';
import { viewOf } from './needs.ts';
import { ENTRY_PREFIX, objectPrefixOf, prefixOfObject } from './object-name.ts';
import { INDEXED_BYTES, readObject, type ObjectEntryOptions } from './objects.ts';
import { RecordCodec, type Found } from './reader.ts';

/** Names that are looked at in one go, and objects that are read at once. */
const NAMES_AT_ONCE = 256;
const READS_AT_ONCE = 16;

export type Restored = {
  /** Entries that are in the index now. */
  readonly restored: number;
  /** Those of which something is gone: they are misses. */
  readonly incomplete: number;
  /** Objects that are no records of ours for their names: damaged, forged, of another key or a newer version. They are left alone. */
  readonly refused: number;
};

/**
 * Takes up all entries from their signed objects, for an index that begins anew and knows the packs already. Of several objects of one
 * name the newest counts: there are several only where one was replaced and its object not removed any more. An entry is taken up only
 * if all of its packs are there: those that its record names or, where they were packed anew since, those that have its blobs now.
 * @throws {Fault} STORE_UNAVAILABLE; WRONG_STATE where the index is not of this epoch any more: begin again
 */
export async function restoreEntries(options: ObjectEntryOptions, epoch: string, signal: AbortSignal): Promise<Restored> {
  const target = { ...options, codec: new RecordCodec(options.keys, options.env.log), epoch };
  const sums = { restored: 0, incomplete: 0, refused: 0 };
  let names: { readonly prefix: string; readonly objects: string[] }[] = [];
  const takeUp = async () => {
    const batch = names;
    names = [];
    const one = async ({ objects }: { objects: string[] }, either: AbortSignal) => {
      for (const object of objects.toReversed()) if (await restoreOne(target, object, sums, either)) return;
    };
    await forEachWithin(batch, READS_AT_ONCE, () => 1, one, signal);
  };
  for await (const { key } of options.objects.list(ENTRY_PREFIX, {}, signal)) {
    const prefix = prefixOfObject(key);
    const last = names.at(-1);
    if (last?.prefix === prefix) last.objects.push(key);
    else {
      if (names.length >= NAMES_AT_ONCE) await takeUp();
      names.push({ prefix, objects: [key] });
    }
  }
  await takeUp();
  options.env.log.info('entries-restored', sums);
  return sums;
}

type Target = ObjectEntryOptions & { readonly codec: RecordCodec; readonly epoch: string };

/** Whether the entry of the object is in the index now. */
async function restoreOne(
  target: Target,
  object: string,
  sums: { -readonly [K in keyof Restored]: number },
  signal: AbortSignal,
): Promise<boolean> {
  const { objects, index, codec, epoch } = target;
  let record: Uint8Array;
  try {
    record = await readObject(objects, object, VALUE_BYTES_MAX * 2, signal);
  } catch (error) {
    if (!(error instanceof Fault) || (error.code !== 'OBJECT_UNKNOWN' && error.code !== 'TOO_LARGE')) throw error;
    sums.refused += 1;
    return false;
  }
  const found = codec.open(record, object);
  if (found.kind !== 'entry' || objectPrefixOf(found.entry.at) !== prefixOfObject(object)) {
    sums.refused += 1;
    return false;
  }
  const listed = entryOf(
    object,
    record,
    found,
    found.ground.packs.flatMap((name) => parsePackName(name) ?? []),
  );
  let isIn = (await index.restoreEntry(listed, epoch, signal)) || (await restoreElsewhere(target, object, record, found, signal));
  // Whoever took the entry away since it was read did so before it was in the index again: object first, then row.
  if (isIn && (await objects.head(object, signal)) === undefined) {
    await index.dropEntry({ ...listed.at, object }, signal);
    isIn = false;
  }
  sums[isIn ? 'restored' : 'incomplete'] += 1;
  return isIn;
}

/** As its record says it is not there: perhaps it is in other packs. */
async function restoreElsewhere(
  { index, needsOf, packsOf, epoch }: Target,
  object: string,
  record: Uint8Array,
  found: Found & { kind: 'entry' },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const needs = await needsOf(found.entry.at, found.entry.value, signal);
    const { packs, missing } = await packsOf(viewOf(found.entry.at.owner), needs, undefined, signal);
    if (missing.length > 0) return false;
    const bytes = needs.reduce((sum, digest) => sum + sizeOf(digest), 0);
    const entry = entryOf(object, record, { ...found, ground: { packs: [], bytes } }, [...packs].toSorted());
    return await index.restoreEntry(entry, epoch, signal);
  } catch (error) {
    if (error instanceof Fault && ['BLOB_UNKNOWN', 'BLOB_CORRUPT', 'BAD_REQUEST', 'TOO_LARGE'].includes(error.code)) return false;
    throw error;
  }
}

function entryOf(object: string, record: Uint8Array, { entry, ground }: Found & { kind: 'entry' }, packs: NewEntry['packs']): NewEntry {
  const { build, agent, caller } = entry.provenance;
  return {
    at: entry.at,
    object,
    record: record.byteLength <= INDEXED_BYTES ? record : new Uint8Array(0),
    packs,
    bytes: ground.bytes,
    producer: build || agent || caller,
    replace: false,
  };
}
