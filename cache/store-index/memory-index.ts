import type { Clock } from '../../base/clock.ts';
import type { Digest } from '../digest.ts';
import { fitsEntry, fitsPack, isSameOwner } from './filter.ts';
import { entryRow, MemoryState, unknownPack, type NameState } from './memory-state.ts';
import { compareText, entryText } from './order.ts';
import {
  holdLost,
  indexClosed,
  indexGone,
  notCondemned,
  notPending,
  otherEpoch,
  packCondemned,
  packForeign,
  packLate,
  refuseAborted,
  tooManyPacks,
  wrongPhase,
} from './refusals.ts';
import { ADD_WITHIN_MS, USE_GRAIN_MS } from './store-index.ts';
import type { BlobPlace, EntryKey, EntryKind, EntryRow, EpochState, Hold, NewEntry, NewPack, Owner, PackName } from './store-index.ts';
import type { EntryRowFilter, PackFilter, PackRow, Prepared, StoreIndex } from './store-index.ts';

type Object = EntryKey & { readonly object: string };

/** See `memoryStoreIndex`. */
export class MemoryIndex implements StoreIndex {
  readonly traits = { shared: false } as const;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #newEpoch: () => string;
  #state: MemoryState;
  #gone = false;

  constructor(clock: Pick<Clock, 'now'>, ready: boolean, newEpoch: () => string) {
    this.#clock = clock;
    this.#newEpoch = newEpoch;
    this.#state = new MemoryState(newEpoch(), ready);
  }

  /** Everything as it is now, for `fork`. */
  snapshot(): MemoryState {
    return this.#state.copy();
  }

  /**
   * Another index of what this one knew at a snapshot, or of nothing: of a new epoch, closed. What losing the last writes, or all of
   * them, comes to. This one goes on, as a server does that has not noticed that another took over.
   */
  fork(from: MemoryState | undefined): MemoryIndex {
    const index = new MemoryIndex(this.#clock, false, this.#newEpoch);
    if (from !== undefined) {
      const { epoch } = index.#state;
      index.#state = from.copy();
      Object.assign(index.#state, { epoch, open: false, complete: false });
    }
    index.#state.claims.clear();
    return index;
  }

  async now(signal: AbortSignal): Promise<number> {
    this.#enter(signal, false);
    return this.#clock.now();
  }

  async epoch(signal: AbortSignal): Promise<EpochState> {
    const { epoch, open, complete } = this.#enter(signal, false);
    return { epoch, open, complete };
  }

  async open(epoch: string, signal: AbortSignal): Promise<void> {
    this.#enter(signal, false, epoch).open = true;
  }

  async complete(epoch: string, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal, false, epoch);
    if (!state.open) throw wrongPhase('is not open');
    state.complete = true;
  }

  async addPack(pack: NewPack, hold: Hold | undefined, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal, hold !== undefined);
    const now = this.#clock.now();
    this.#check(hold);
    const known = state.packs.get(pack.name);
    if (known !== undefined && known.state !== 'live') throw packCondemned(pack.name);
    if (now - pack.begunAt > ADD_WITHIN_MS) throw packLate(pack.name);
    if (known !== undefined && !isSameOwner(known.owner, pack.owner)) throw packForeign(pack.name);
    if (known === undefined) {
      const { name, owner, sizeBytes, producer } = pack;
      const times = { createdAt: now, usedAt: now, heldUntil: 0, condemnedAt: undefined };
      state.packs.set(name, { name, owner, sizeBytes, producer, state: 'live', refCount: 0, ...times });
    }
    const rows = state.rowsOf(pack.owner);
    for (const { digest, place } of pack.rows) {
      if (state.placeOf(pack.owner, digest) === undefined) rows.set(digest, place);
    }
    if (hold !== undefined) state.hold(hold.id, [pack.name], hold.ttlMs, now);
  }

  async locate(
    project: string,
    scopes: readonly string[],
    digests: readonly Digest[],
    hold: Hold | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, BlobPlace>> {
    const state = this.#enter(signal);
    this.#check(hold);
    const now = this.#clock.now();
    const places = new Map<Digest, BlobPlace>();
    const packs = new Set<PackName>();
    for (const digest of digests) {
      for (const scope of scopes) {
        const place = state.placeOf({ project, scope }, digest);
        if (place === undefined) continue;
        places.set(digest, place);
        packs.add(place.frame.pack);
        break;
      }
    }
    for (const pack of packs) this.#use(state.packs.get(pack), (usedAt) => state.change(pack, { usedAt }));
    if (hold !== undefined) state.hold(hold.id, packs, hold.ttlMs, now);
    return places;
  }

  async forget(owner: Owner, rows: readonly { readonly digest: Digest; readonly pack: PackName }[], signal: AbortSignal): Promise<void> {
    const known = this.#enter(signal).rowsOf(owner);
    for (const { digest, pack } of rows) if (known.get(digest)?.frame.pack === pack) known.delete(digest);
  }

  async extend(hold: Hold, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal);
    this.#check(hold);
    const now = this.#clock.now();
    if (!state.isHeld(hold.id, now)) throw holdLost(hold);
    state.hold(hold.id, [], hold.ttlMs, now);
  }

  async release(hold: Pick<Hold, 'id'>, signal: AbortSignal): Promise<void> {
    this.#enter(signal).holds.delete(hold.id);
  }

  async prepare(entry: NewEntry, hold: Hold, signal: AbortSignal): Promise<Prepared> {
    const state = this.#enter(signal);
    const tooMany = tooManyPacks(entry);
    if (tooMany !== undefined) throw tooMany;
    this.#check(hold);
    const now = this.#clock.now();
    if (!state.isHeld(hold.id, now)) throw holdLost(hold);
    const known = state.names.get(entryText(entry.at));
    if (known?.pending?.object === entry.object) return { kind: 'prepared' };
    const taken = known?.published ?? known?.pending;
    if (taken !== undefined && !entry.replace) return { kind: 'exists', entry: taken };
    const gone = entry.packs.filter((pack) => !state.isLive(pack));
    if (gone.length > 0) return { kind: 'packs-gone', packs: gone };
    if (known !== undefined) state.drop(known, 'pending');
    state.refer(entry.packs, 1);
    state.nameOf(entry.at).pending = entryRow(entry, 'pending', now);
    return { kind: 'prepared' };
  }

  async publish(entry: Object, signal: AbortSignal): Promise<EntryRow | undefined> {
    const state = this.#enter(signal);
    const name = state.names.get(entryText(entry));
    if (name?.published?.object === entry.object) return undefined;
    const row = name?.pending;
    if (name === undefined || row?.object !== entry.object) throw notPending(entry.object);
    name.pending = undefined;
    return state.publish(name, row);
  }

  async dropEntry(entry: Object & { readonly onlyPending?: boolean }, signal: AbortSignal): Promise<boolean> {
    const state = this.#enter(signal, false);
    const name = state.names.get(entryText(entry));
    const which = (['published', 'pending'] as const).find((part) => name?.[part]?.object === entry.object);
    if (name === undefined || which === undefined || (which === 'published' && entry.onlyPending === true)) return false;
    state.drop(name, which);
    return true;
  }

  async entry(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    key: string,
    signal: AbortSignal,
  ): Promise<EntryRow | undefined> {
    const state = this.#enter(signal);
    for (const scope of scopes) {
      const name = state.names.get(entryText({ kind, owner: { project, scope }, key }));
      if (name?.published !== undefined) return this.#usedEntry(name);
    }
    return undefined;
  }

  async newestEntry(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    prefix: string,
    signal: AbortSignal,
  ): Promise<EntryRow | undefined> {
    const state = this.#enter(signal);
    for (const scope of scopes) {
      const begin = entryText({ kind, owner: { project, scope }, key: prefix });
      const found = [...state.names].filter(([text, { published }]) => published !== undefined && text.startsWith(begin));
      const [newest] = found
        .map(([, name]) => name)
        .toSorted((left, right) => createdAt(right) - createdAt(left) || compareText(right.at.key, left.at.key));
      if (newest !== undefined) return this.#usedEntry(newest);
    }
    return undefined;
  }

  async entries(filter: EntryRowFilter, after: EntryKey | undefined, limit: number, signal: AbortSignal): Promise<readonly EntryRow[]> {
    const afterText = after === undefined ? undefined : entryText(after);
    const found: (readonly EntryRow[])[] = [];
    for (const { at, published, pending } of this.#enter(signal, false).sortedNames()) {
      if (found.length === limit) break;
      if (afterText !== undefined && compareText(entryText(at), afterText) <= 0) continue;
      const rows = [published, pending].filter((row) => row !== undefined).filter((row) => fitsEntry(row, filter));
      if (rows.length > 0) found.push(rows);
    }
    return found.flat();
  }

  async knownObjects(objects: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const all = new Set<string>();
    for (const { published, pending } of this.#enter(signal, false).names.values()) {
      for (const row of [published, pending]) if (row !== undefined) all.add(row.object);
    }
    return new Set(objects.filter((object) => all.has(object)));
  }

  async usage(signal: AbortSignal) {
    return this.#enter(signal).usage();
  }

  async packs(filter: PackFilter, after: PackName | undefined, limit: number, signal: AbortSignal): Promise<readonly PackRow[]> {
    return [...this.#enter(signal, false).packs.values()]
      .filter((row) => (after === undefined || row.name > after) && fitsPack(row, filter))
      .toSorted((left, right) => compareText(left.name, right.name))
      .slice(0, limit);
  }

  async condemn(pack: PackName, epoch: string, unusedSince: number, signal: AbortSignal): Promise<boolean> {
    const state = this.#enter(signal, true, epoch);
    if (!state.complete) throw wrongPhase('does not know yet what the store has');
    const now = this.#clock.now();
    const row = state.packs.get(pack);
    if (row === undefined) state.packs.set(pack, unknownPack(pack, now));
    if (row === undefined || row.state === 'condemned') return true;
    const free = row.refCount === 0 && row.heldUntil <= now && row.createdAt < unusedSince && row.usedAt < unusedSince;
    if (row.state === 'deleted' || !free) return false;
    state.change(pack, { state: 'condemned' });
    return true;
  }

  async condemnRecorded(pack: PackName, epoch: string, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal, true, epoch);
    const row = state.packs.get(pack);
    if (row?.state !== 'condemned') throw notCondemned(pack);
    if (row.condemnedAt === undefined) state.change(pack, { condemnedAt: this.#clock.now() });
  }

  async mayDelete(pack: PackName, epoch: string, graceMs: number, signal: AbortSignal): Promise<boolean> {
    const state = this.#enter(signal);
    const row = state.packs.get(pack);
    if (state.epoch !== epoch || row?.state !== 'condemned' || row.condemnedAt === undefined) return false;
    return this.#clock.now() - row.condemnedAt >= graceMs;
  }

  async deleted(pack: PackName, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal);
    const row = state.packs.get(pack);
    if (row === undefined || row.state === 'live') throw notCondemned(pack);
    state.change(pack, { state: 'deleted' });
  }

  async dropPack(pack: PackName, signal: AbortSignal): Promise<boolean> {
    const { packs } = this.#enter(signal);
    return packs.get(pack)?.state === 'deleted' && packs.delete(pack);
  }

  async sweep(signal: AbortSignal): Promise<boolean> {
    const state = this.#enter(signal);
    for (const rows of state.rows.values()) {
      for (const [digest, { frame }] of rows) if (!state.isLive(frame.pack)) rows.delete(digest);
    }
    return false;
  }

  async claim(task: string, holder: string, ttlMs: number, signal: AbortSignal): Promise<boolean> {
    const { claims } = this.#enter(signal, false);
    const now = this.#clock.now();
    const claim = claims.get(task);
    if (claim !== undefined && claim.holder !== holder && claim.until > now) return false;
    claims.set(task, { holder, until: now + ttlMs });
    return true;
  }

  async replayCondemned(packs: readonly PackName[], epoch: string, signal: AbortSignal): Promise<void> {
    const state = this.#enter(signal, false, epoch);
    if (state.open) throw wrongPhase('is open already');
    const now = this.#clock.now();
    for (const pack of packs) {
      const row = state.packs.get(pack) ?? unknownPack(pack, now);
      if (row.state === 'deleted') continue;
      state.packs.set(pack, { ...row, state: 'condemned', heldUntil: 0, condemnedAt: now });
    }
    const gone = new Set(packs);
    for (const name of state.names.values()) {
      for (const which of ['published', 'pending'] as const) {
        if (name[which]?.packs.some((pack) => gone.has(pack)) === true) state.drop(name, which);
      }
    }
  }

  async restoreEntry(entry: NewEntry, epoch: string, signal: AbortSignal): Promise<boolean> {
    const state = this.#enter(signal, false, epoch);
    const tooMany = tooManyPacks(entry);
    if (tooMany !== undefined) throw tooMany;
    const name = state.names.get(entryText(entry.at));
    if (name?.published?.object === entry.object) return true;
    if (name?.pending?.object === entry.object) state.drop(name, 'pending');
    if (name?.published !== undefined && !entry.replace) return false;
    if (!entry.packs.every((pack) => state.isLive(pack))) return false;
    state.refer(entry.packs, 1);
    state.publish(state.nameOf(entry.at), entryRow(entry, 'published', this.#clock.now()));
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone = true;
  }

  /** Begins a call: refuses where the index is gone, closed and the call needs it open, or of another epoch than the call's. */
  #enter(signal: AbortSignal, needsOpen = true, epoch?: string): MemoryState {
    refuseAborted(signal);
    if (this.#gone) throw indexGone();
    if (epoch !== undefined && epoch !== this.#state.epoch) throw otherEpoch(epoch, this.#state.epoch);
    if (needsOpen && !this.#state.open) throw indexClosed();
    return this.#state;
  }

  #check(hold: Hold | undefined): void {
    if (hold !== undefined && hold.epoch !== this.#state.epoch) throw holdLost(hold);
  }

  #use(row: { readonly usedAt: number } | undefined, note: (usedAt: number) => void): void {
    const now = this.#clock.now();
    if (row !== undefined && now - row.usedAt >= USE_GRAIN_MS) note(now);
  }

  #usedEntry(name: NameState): EntryRow | undefined {
    this.#use(name.published, (usedAt) => {
      if (name.published !== undefined) name.published = { ...name.published, usedAt };
    });
    return name.published;
  }
}

function createdAt({ published }: NameState): number {
  return published?.createdAt ?? 0;
}
