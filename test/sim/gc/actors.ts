import { isFault } from '../../../base/fault.ts';
import { digestOf, type Digest } from '../../../cache/digest.ts';
import { Collector, newGcCounts } from '../../../cache/gc/collector.ts';
import { deleteReplaced, expireEntry } from '../../../cache/gc/expire.ts';
import { markReferences } from '../../../cache/gc/mark.ts';
import { openEpoch } from '../../../cache/gc/open-epoch.ts';
import { scrub } from '../../../cache/gc/scrub.ts';
import { packKey, packOfKey } from '../../../cache/packs/names.ts';
import type { ObjectStore } from '../../../cache/objects/object-store.ts';
import type { EntryKey, Hold, NewEntry, NewPack, PackName, StoreIndex } from '../../../cache/store-index/store-index.ts';
import type { Mutation } from './mutations.ts';
import { HOLD_MS, SCRUB_EVERY_MS, SIM_SETTINGS, URL_MS } from './settings.ts';
import type { Actor } from './turns.ts';
import type { World } from './world.ts';

const signal = new AbortController().signal;
const OWNER = { project: 'apple', scope: 'main' };
const BLOBS = 24;
const KEYS = 10;

/** What an actor works with. */
export type Seat = {
  readonly world: World;
  readonly actor: Actor;
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly mutation: Mutation;
};

const contentOf = (n: number) => `bytes of blob ${n}`;
const digestOfBlob = (n: number) => digestOf(Buffer.from(contentOf(n)));

/** The body of a pack with these blobs: its own footer, so to say. */
function bodyOf(name: PackName, blobs: readonly number[]): string {
  return JSON.stringify({ name, blobs });
}

function packFrom(body: string, begunAt: number): NewPack {
  const { name, blobs } = JSON.parse(body) as { readonly name: PackName; readonly blobs: readonly number[] }; // as bodyOf wrote it
  const frame = { pack: name, offset: 0, storedBytes: 100, rawBytes: 100, encoding: 'raw' as const };
  const rows = blobs.map((n) => ({
    digest: digestOfBlob(n),
    place: { kind: 'bytes' as const, frame, offset: n, length: contentOf(n).length },
  }));
  return { name, owner: OWNER, sizeBytes: body.length, producer: 'sim', begunAt, rows };
}

async function textOf(objects: ObjectStore, key: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of objects.get(key, undefined, signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function hex(world: World, digits: number): string {
  return Array.from({ length: digits }, () => world.prng.below(16).toString(16)).join('');
}

/** Does the work again and again, with pauses; what fails as a store may is begun anew. */
export async function repeat({ world, actor }: Seat, pauseMs: number, work: () => Promise<void>): Promise<void> {
  for (;;) {
    await world.turns.turn(actor, world.prng.below(pauseMs));
    try {
      await work();
    } catch (error) {
      if (!isFault(error)) throw error;
      if (error.code === 'INTERNAL') throw error;
    }
  }
}

/** A saver that thinks for a while, at times beyond the end of its hold. */
async function think({ world, actor }: Seat): Promise<void> {
  if (world.chance(0.4)) await world.turns.turn(actor, world.prng.below(world.chance(0.2) ? 2 * HOLD_MS : HOLD_MS / 4));
}

async function newHold({ world, index }: Seat): Promise<Hold | undefined> {
  const { epoch, open } = await index.epoch(signal);
  return open ? { id: hex(world, 16), ttlMs: HOLD_MS, epoch } : undefined;
}

/** Stores what its entry needs and is not there, then commits the entry. */
export async function save(seat: Seat): Promise<void> {
  const { world, index, objects } = seat;
  const hold = await newHold(seat);
  if (hold === undefined) return;
  const begunAt = await index.now(signal);
  const blobs = [...new Set(Array.from({ length: 1 + world.prng.below(5) }, () => world.prng.below(BLOBS)))];
  const found = await index.locate(OWNER.project, [OWNER.scope], blobs.map(digestOfBlob), hold, signal);
  await think(seat);
  const missing = blobs.filter((n) => !found.has(digestOfBlob(n)));
  const packs = new Set([...found.values()].map(({ frame }) => frame.pack));
  if (missing.length > 0) {
    const name = seat.mutation.packName(hex(world, 32)) as PackName; // 32 hex digits
    const body = bodyOf(name, missing);
    await objects.put(packKey(name), Buffer.from(body), { ifAbsent: false }, signal);
    await think(seat);
    await index.addPack(packFrom(body, begunAt), hold, signal);
    packs.add(name);
  }
  await think(seat);
  await commit(seat, [...packs].toSorted(), hold);
}

async function commit(seat: Seat, packs: readonly PackName[], hold: Hold): Promise<void> {
  const { world, index, objects } = seat;
  const key = `key-${world.prng.below(KEYS)}`;
  const at: EntryKey = { kind: 'action', owner: OWNER, key };
  const version = `${String(await index.now(signal)).padStart(15, '0')}-${hex(world, 8)}`;
  const object = `e/${OWNER.project}/${OWNER.scope}/action/${key}/${version}`;
  const replace = world.chance(0.3);
  const entry: NewEntry = { at, object, record: Buffer.from(version), packs, bytes: 1, producer: 'sim', replace };
  const prepared = await index.prepare(entry, hold, signal);
  world.count(prepared.kind);
  if (prepared.kind !== 'prepared') return;
  await think(seat);
  await objects.put(object, Buffer.from(JSON.stringify(entry)), { ifAbsent: false }, signal);
  await think(seat);
  const replaced = await index.publish({ ...at, object }, signal);
  world.checker.acknowledged(key, object, packs, world.turns.nowMs);
  if (replaced !== undefined) await deleteReplaced(objects, index, { object: replaced.object, epoch: hold.epoch }, signal);
}

/** Finds an entry and its blobs, and reads them by URLs while those are valid. */
export async function restore(seat: Seat): Promise<void> {
  const { world, actor, index, objects } = seat;
  const hold = await newHold(seat);
  if (hold === undefined) return;
  const askedMs = world.turns.nowMs;
  const entry = await index.entry('action', OWNER.project, [OWNER.scope], `key-${world.prng.below(KEYS)}`, signal);
  if (entry !== undefined) world.checker.used(entry.object, askedMs);
  const blobs = Array.from({ length: 3 }, () => world.prng.below(BLOBS));
  const found = await index.locate(OWNER.project, [OWNER.scope], blobs.map(digestOfBlob), hold, signal);
  world.count('restore');
  const untilMs = askedMs + URL_MS; // a URL is made when the answer comes, and cut to the hold's time
  for (const [digest, { frame, offset }] of found) {
    if (world.turns.nowMs >= untilMs) return;
    world.checker.gaveUrl(frame.pack, untilMs);
    await world.turns.turn(actor, world.prng.below(URL_MS / 2));
    if (world.turns.nowMs >= untilMs) return;
    readByUrl(await textOf(objects, packKey(frame.pack)), digest, offset, world);
  }
}

function readByUrl(body: string, digest: Digest, offset: number, world: World): void {
  const { blobs } = JSON.parse(body) as { readonly blobs: readonly number[] }; // as bodyOf wrote it
  world.count('blob read');
  if (!blobs.includes(offset) || digestOfBlob(offset) !== digest) world.checker.fail('bytes', `other bytes than those of ${digest}`);
}

/** Drops an entry on purpose, as quotas and purges do. */
export async function drop(seat: Seat): Promise<void> {
  const { world, index, objects } = seat;
  const rows = await index.entries({ state: 'published' }, undefined, 100, signal);
  const row = rows[world.prng.below(Math.max(1, rows.length))];
  if (row === undefined) return;
  world.checker.dropping(row.at.key, row.object);
  await seat.mutation.expire(objects, index, { ...row.at, object: row.object }, signal, expireEntry);
  world.checker.droppedForGood(row.object);
  world.count('drop');
}

/** Makes the index ready whenever it has begun anew. */
export async function keep(seat: Seat): Promise<void> {
  const { world, index, objects, mutation } = seat;
  const state = await index.epoch(signal);
  if (state.complete) return;
  const options = { objects: mutation.objects(objects), index, env: world.env(), graceMs: SIM_SETTINGS.graceMs };
  await mutation.open(options, signal, openEpoch);
  await mutation.rebuild(() => rebuild(seat, state.epoch));
  await index.complete(state.epoch, signal);
  world.count('rebuilt');
}

async function rebuild({ index, objects }: Seat, epoch: string): Promise<void> {
  const begunAt = await index.now(signal);
  for await (const { key } of objects.list('p/', {}, signal)) {
    if (packOfKey(key) === undefined) continue;
    await ignoring(['PACK_GONE', 'OBJECT_UNKNOWN'], async () =>
      index.addPack(packFrom(await textOf(objects, key), begunAt), undefined, signal),
    );
  }
  const keys: string[] = [];
  for await (const { key } of objects.list('e/', {}, signal)) keys.push(key);
  // The newest of a name first: without `replace` it stays.
  for (const key of keys.toReversed()) {
    await ignoring(['OBJECT_UNKNOWN'], async () => {
      const entry = JSON.parse(await textOf(objects, key)) as NewEntry; // as commit wrote it
      await index.restoreEntry({ ...entry, record: Buffer.from('again'), replace: false }, epoch, signal);
      if ((await objects.head(key, signal)) === undefined) await index.dropEntry({ ...entry.at, object: key }, signal);
    });
  }
}

async function ignoring(codes: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFault(error) || !codes.includes(error.code)) throw error;
  }
}

/** One data plane's collection of garbage. */
export function collecting(seat: Seat): () => Promise<void> {
  const { world, mutation } = seat;
  const counts = newGcCounts();
  const env = mutation.env(world.env(), world);
  const options = {
    objects: mutation.objects(seat.objects),
    index: mutation.index(seat.index, () => world.turns.turn(seat.actor, world.prng.below(HOLD_MS))),
    settings: mutation.settings(SIM_SETTINGS),
    env,
  };
  const collector = new Collector(options, counts);
  let scrubbedMs = world.turns.nowMs;
  return async () => {
    const before = { ...counts };
    // Often by chance, and never later than the latest: by chance alone, a run in some hundreds has none for days.
    if (world.chance(0.1) || world.turns.nowMs - scrubbedMs >= SCRUB_EVERY_MS) {
      const epoch = await collector.ready(signal);
      if (epoch === undefined) return;
      await markReferences(options.index, signal);
      await scrub(collector, epoch, signal);
      scrubbedMs = world.turns.nowMs;
    } else await collector.pass(signal);
    if (counts.packsDeleted > before.packsDeleted) world.count('packs deleted');
    if (counts.orphanPacks > before.orphanPacks) world.count('orphans condemned');
  };
}
