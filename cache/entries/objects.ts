import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { Keyring } from '../../base/signing.ts';
import { sizeOf, type Digest } from '../digest.ts';
import { deleteReplaced, expireEntry } from '../gc/expire.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { EntryKey, EntryKind, EntryRow, Hold, NewEntry, PackName, StoreIndex } from '../store-index/store-index.ts';
import type { StoreView } from '../store-view.ts';
import { checkEntry, checkKey, checkPrefix, isSameWrite, sameValue, VALUE_BYTES_MAX } from './check.ts';
import type { EntryCounters } from './counters.ts';
import { isProducedBy, type Entry, type EntryFilter, type EntryStore, type EntryUsage, type Put } from './entry-store.ts';
import { viewOf } from './needs.ts';
import { newObjectOf } from './object-name.ts';
import { RecordCodec, type Found } from './reader.ts';

/** What an entry of an object store stands on. */
export type ObjectEntryOptions = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly keys: Keyring;
  /** All blobs that a value needs. @throws {Fault} BLOB_UNKNOWN, ... as `Needs.of` */
  readonly needsOf: (at: EntryKey, value: Uint8Array, signal: AbortSignal) => Promise<readonly Digest[]>;
  /** Every pack that blobs need, held from the same step on in which it was found. */
  readonly packsOf: (
    view: StoreView,
    digests: readonly Digest[],
    hold: Hold | undefined,
    signal: AbortSignal,
  ) => Promise<{ readonly packs: ReadonlySet<PackName>; readonly missing: readonly Digest[] }>;
  readonly env: Env;
  /** @default nobody looks at them */
  readonly counters?: EntryCounters | undefined;
  /** Records up to this size are in the index too, and read from there. @default 64 KiB */
  readonly indexedBytes?: number;
};

export const INDEXED_BYTES = 64 * 1024;
const HOLD_MS = 5 * 60_000;
/** Commits that are begun again because packs went, a hold was lost or the name was taken meanwhile. */
const TRIES = 5;
/** Waits for another writer's commit of the same name, whose record is not in the index. */
const WAIT_MS = 50;
const WAITS = 40;
/** A commit that stands half done for so long is nobody's any more: its object has had the time of many tries. */
const LEFT_MS = 2 * 60_000;
const PAGE_COUNT = 500;
/** A record beside its value: provenance and parts, and names of packs. */
const RECORD_BYTES_MAX = VALUE_BYTES_MAX + 8 * 1024 * 1024;

/**
 * Entries in an object store, found through its index. A commit has two halves with the signed object between them: prepare (the packs
 * that it needs are referred to), put the object, publish. What a crash leaves between them is finished or undone by garbage collection.
 * The index may be made anew from the objects: see `restoreEntries`.
 */
export function objectEntryStore(options: ObjectEntryOptions): EntryStore {
  return new ObjectEntries(options);
}

class ObjectEntries implements EntryStore {
  readonly #options: ObjectEntryOptions;
  readonly #codec: RecordCodec;

  constructor(options: ObjectEntryOptions) {
    this.#options = options;
    this.#codec = new RecordCodec(options.keys, options.env.log, options.counters);
  }

  /** What the record of a row says, which is read from the index where it is there. */
  async #read({ at, object, record }: EntryRow, signal: AbortSignal): Promise<Found> {
    if (record.byteLength > 0) return this.#codec.read(record, at, object);
    try {
      return this.#codec.read(await readObject(this.#options.objects, object, RECORD_BYTES_MAX, signal), at, object);
    } catch (error) {
      if (isFault(error, 'TOO_LARGE')) return this.#codec.refuse(object, error.message);
      if (!isFault(error, 'OBJECT_UNKNOWN')) throw error;
      this.#options.env.log.error('entry-object-gone', { object, ...at });
      return { kind: 'bad' };
    }
  }

  /** What a row stands for; what is bad is taken away. */
  async #open(row: EntryRow, signal: AbortSignal): Promise<Found> {
    const found = await this.#read(row, signal);
    if (found.kind === 'bad') await expireEntry(this.#options.objects, this.#options.index, { ...row.at, object: row.object }, signal);
    return found;
  }

  /** The first row that can be read, from the nearest scope on. */
  async #firstOf(
    scopes: readonly string[],
    look: (scopes: readonly string[]) => Promise<EntryRow | undefined>,
    signal: AbortSignal,
  ): Promise<Entry | undefined> {
    for (let rest = scopes; ;) {
      const row = await look(rest);
      if (row === undefined) return undefined;
      const found = await this.#open(row, signal);
      if (found.kind === 'entry') return found.entry;
      if (found.kind === 'unreadable') rest = rest.slice(rest.indexOf(row.at.owner.scope) + 1);
      if (rest.length === 0) return undefined;
    }
  }

  async #prepare(entry: Entry, replace: boolean, hold: Hold, signal: AbortSignal): Promise<Prepared> {
    const view = viewOf(entry.at.owner);
    const needs = await this.#options.needsOf(entry.at, entry.value, signal);
    const { packs, missing } = await this.#options.packsOf(view, needs, hold, signal);
    if (missing[0] !== undefined) {
      const { project, scope } = entry.at.owner;
      throw new Fault(
        'BLOB_UNKNOWN',
        `${missing.length} blobs that the entry names are not in ${project}/${scope}, such as ${missing[0]}`,
        {
          hint: 'Store them first.',
        },
      );
    }
    const ground = { packs: [...packs].toSorted(), bytes: needs.reduce((sum, digest) => sum + sizeOf(digest), 0) };
    const record = this.#codec.seal(entry, ground);
    const { build, agent, caller } = entry.provenance;
    const small = record.byteLength <= (this.#options.indexedBytes ?? INDEXED_BYTES) ? record : new Uint8Array(0);
    const fresh: NewEntry = {
      at: entry.at,
      object: newObjectOf(entry.at, this.#options.env.clock.now()),
      record: small,
      packs: ground.packs,
      bytes: ground.bytes,
      producer: build || agent || caller,
      replace,
    };
    // A hold must be there even where no pack is: what needs nothing is committed by the same steps.
    if (packs.size === 0) await this.#options.index.locate(entry.at.owner.project, [entry.at.owner.scope], [], hold, signal);
    return { prepared: await this.#options.index.prepare(fresh, hold, signal), object: fresh.object, record };
  }

  /** One try of a commit; undefined where it must be begun again. */
  async #commit(entry: Entry, replace: boolean, signal: AbortSignal): Promise<Put | undefined> {
    const { epoch } = await this.#options.index.epoch(signal);
    const hold: Hold = { id: `e-${randomBytes(12).toString('hex')}`, ttlMs: HOLD_MS, epoch };
    try {
      const { prepared, object, record } = await this.#prepare(entry, replace, hold, signal);
      if (prepared.kind === 'packs-gone') return undefined;
      if (prepared.kind === 'exists') return await this.#existing(entry, prepared.entry, signal);
      await this.#options.objects.put(object, record, { ifAbsent: true }, signal).catch(unlessThere);
      const replaced = await this.#options.index.publish({ ...entry.at, object }, signal);
      if (replaced !== undefined && replaced.object !== object) {
        const old = { object: replaced.object, epoch };
        await deleteReplaced(this.#options.objects, this.#options.index, old, signal).catch(this.#leftover(old.object));
      }
      return { kind: 'kept', entry };
    } catch (error) {
      if (isFault(error, 'HOLD_LOST') || isFault(error, 'WRONG_STATE')) return undefined;
      throw error;
    } finally {
      await this.#options.index.release(hold, AbortSignal.timeout(HOLD_MS)).catch(() => {}); // it ends by itself
    }
  }

  /** The answer where another entry has the name; undefined where it has it no more, or cannot be read and is to be replaced. */
  async #existing(entry: Entry, first: EntryRow, signal: AbortSignal): Promise<Put | undefined> {
    const row = first.state === 'published' || first.record.byteLength > 0 ? first : await this.#published(first, signal);
    if (row === undefined || (await this.#isLeftover(row, signal))) return undefined;
    const found = await this.#open(row, signal);
    if (found.kind === 'entry') return { kind: sameValue(found.entry, entry) ? 'same' : 'differs', entry: found.entry };
    return found.kind === 'unreadable' ? await this.#commit(entry, true, signal) : undefined;
  }

  /** What became of a pending row whose record is on its way to its object. */
  async #published({ at, createdAt }: EntryRow, signal: AbortSignal): Promise<EntryRow | undefined> {
    for (let waits = 0; waits < WAITS; waits += 1) {
      await sleep(WAIT_MS, undefined, { signal });
      const row = await this.#options.index.entry(at.kind, at.owner.project, [at.owner.scope], at.key, signal);
      if (row !== undefined) return row;
    }
    this.#options.env.log.debug('entry-pending-long', { ...at, createdAt });
    return undefined;
  }

  /** Finishes or undoes the commit of a writer that seems to have died in its middle; garbage collection would, much later. */
  async #isLeftover({ state, at, object, createdAt }: EntryRow, signal: AbortSignal): Promise<boolean> {
    if (state === 'published' || (await this.#options.index.now(signal)) - createdAt < LEFT_MS) return false;
    const isWritten = (await this.#options.objects.head(object, signal)) !== undefined;
    if (!isWritten) await this.#options.index.dropEntry({ ...at, object, onlyPending: true }, signal);
    else await this.#options.index.publish({ ...at, object }, signal);
    return true;
  }

  #leftover(object: string): (error: unknown) => void {
    return (error) => this.#options.env.log.debug('entry-object-left', { object, error }); // no row names it: garbage collection finds it
  }

  async get(kind: EntryKind, project: string, scopes: readonly string[], key: string, signal: AbortSignal): Promise<Entry | undefined> {
    const { index } = this.#options;
    return this.#firstOf(scopes, (rest) => (rest.length === 0 ? nothing() : index.entry(kind, project, rest, key, signal)), signal);
  }

  async newest(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    prefix: string,
    signal: AbortSignal,
  ): Promise<Entry | undefined> {
    checkPrefix(kind);
    for (let rest = scopes; rest.length > 0;) {
      const row = await this.#options.index.newestEntry(kind, project, rest, prefix, signal);
      if (row === undefined) return undefined;
      const found = await this.#open(row, signal);
      if (found.kind === 'entry') return found.entry;
      if (found.kind === 'bad') continue; // it is gone
      // What only others can read hides those before it.
      const { owner } = row.at;
      const older = await this.#newestReadable({ kind, owner, key: prefix }, signal);
      if (older !== undefined) return older;
      rest = rest.slice(rest.indexOf(owner.scope) + 1);
    }
    return undefined;
  }

  /** The newest entry of an owner that can be read and whose key begins with that of `at`; goes through all of them. */
  async #newestReadable({ kind, owner, key: prefix }: EntryKey, signal: AbortSignal): Promise<Entry | undefined> {
    const { index } = this.#options;
    let newest: { readonly row: EntryRow; readonly entry: Entry } | undefined;
    for (let after: EntryKey | undefined; ;) {
      const rows = await index.entries({ ...owner, kind, state: 'published' }, after, PAGE_COUNT, signal);
      for (const row of rows) {
        if (!row.at.key.startsWith(prefix) || (newest !== undefined && newest.row.createdAt > row.createdAt)) continue;
        const found = await this.#open(row, signal);
        if (found.kind === 'entry') newest = { row, entry: found.entry }; // of the same time the later key, as the index has it
      }
      after = rows.at(-1)?.at;
      if (after === undefined) break;
    }
    // Looked up by its key, it counts as used.
    return newest === undefined ? undefined : await this.get(kind, owner.project, [owner.scope], newest.row.at.key, signal);
  }

  async put(entry: Entry, { replace }: { readonly replace: boolean }, signal: AbortSignal): Promise<Put> {
    checkEntry(entry);
    for (let tries = 0; tries < TRIES; tries += 1) {
      const put = await this.#commit(entry, replace, signal);
      if (put !== undefined) return put;
    }
    throw new Fault('STORE_UNAVAILABLE', `The entry ${entry.at.key} could not be kept: others change the same name or its packs`, {
      retryAfterMs: 1_000,
    });
  }

  async list(
    project: string,
    { producer, ...filter }: EntryFilter,
    after: EntryKey | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly Entry[]> {
    const found: Entry[] = [];
    for (let from = after; ;) {
      const rows = await this.#options.index.entries({ project, ...filter }, from, PAGE_COUNT, signal);
      for (const row of rows) {
        if (found.length >= limit) return found;
        if (row.state !== 'published') continue;
        const one = await this.#open(row, signal);
        if (one.kind === 'entry' && (producer === undefined || isProducedBy(one.entry, producer))) found.push(one.entry);
      }
      from = rows.at(-1)?.at;
      if (from === undefined) return found;
    }
  }

  async drop(at: EntryKey, signal: AbortSignal): Promise<boolean> {
    checkKey(at);
    const row = await this.#options.index.entry(at.kind, at.owner.project, [at.owner.scope], at.key, signal);
    return row === undefined ? false : await expireEntry(this.#options.objects, this.#options.index, { ...at, object: row.object }, signal);
  }

  async dropSeen(entry: Entry, signal: AbortSignal): Promise<boolean> {
    const { kind, owner, key } = entry.at;
    checkKey(entry.at);
    const row = await this.#options.index.entry(kind, owner.project, [owner.scope], key, signal);
    if (row === undefined) return false;
    const found = await this.#open(row, signal);
    if (found.kind !== 'entry' || !isSameWrite(found.entry, entry)) return false;
    // That row's own object: what takes the name from now on has another.
    return expireEntry(this.#options.objects, this.#options.index, { ...entry.at, object: row.object }, signal);
  }

  async usage(signal: AbortSignal): Promise<readonly EntryUsage[]> {
    return (await this.#options.index.usage(signal))
      .filter(({ entryCount }) => entryCount > 0)
      .map(({ owner, entryCount }) => ({ owner, entryCount }));
  }
}

type Prepared = { readonly prepared: Awaited<ReturnType<StoreIndex['prepare']>>; readonly object: string; readonly record: Uint8Array };

async function nothing(): Promise<undefined> {
  return undefined;
}

/** An earlier try of the same put has made it: nobody else takes that name. */
function unlessThere(error: unknown): void {
  if (!isFault(error, 'OBJECT_EXISTS')) throw error;
}

/** All bytes of an object that is known to be small. @throws {Fault} TOO_LARGE; as `ObjectStore.get` */
export async function readObject(objects: ObjectStore, key: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of objects.get(key, undefined, signal)) {
    length += chunk.byteLength;
    if (length > bytesMax) throw new Fault('TOO_LARGE', `Object ${key} has more than ${bytesMax} bytes`);
    chunks.push(Uint8Array.from(chunk));
  }
  return Buffer.concat(chunks);
}
