import type { TimeMs } from '../../base/clock.ts';
import type { Digest } from '../digest.ts';
import { compareText, entryText, ownerOfText, ownerText } from './order.ts';
import type { BlobPlace, EntryKey, EntryRow, NewEntry, Owner, OwnerUsage, PackName, PackRow } from './store-index.ts';

/** What a name leads to. */
export type NameState = { readonly at: EntryKey; published: EntryRow | undefined; pending: EntryRow | undefined };

type HoldState = { readonly packs: Set<PackName>; until: TimeMs };

/** The tables of an index in memory, and the steps on them that several calls share. No clock: times come as arguments. */
export class MemoryState {
  readonly packs = new Map<PackName, PackRow>();
  /** By owner, as text. */
  readonly rows = new Map<string, Map<Digest, BlobPlace>>();
  readonly holds = new Map<string, HoldState>();
  /** By name, as text. */
  readonly names = new Map<string, NameState>();
  readonly claims = new Map<string, { readonly holder: string; readonly until: TimeMs }>();
  epoch: string;
  open: boolean;
  complete: boolean;

  constructor(epoch: string, ready: boolean) {
    this.epoch = epoch;
    this.open = ready;
    this.complete = ready;
  }

  copy(): MemoryState {
    const state = new MemoryState(this.epoch, false);
    state.open = this.open;
    state.complete = this.complete;
    for (const [name, row] of this.packs) state.packs.set(name, row);
    for (const [owner, rows] of this.rows) state.rows.set(owner, new Map(rows));
    for (const [id, { packs, until }] of this.holds) state.holds.set(id, { packs: new Set(packs), until });
    for (const [text, name] of this.names) state.names.set(text, { ...name });
    for (const [task, claim] of this.claims) state.claims.set(task, claim);
    return state;
  }

  isLive(name: PackName): boolean {
    return this.packs.get(name)?.state === 'live';
  }

  change(name: PackName, change: Partial<PackRow>): void {
    const row = this.packs.get(name);
    if (row !== undefined) this.packs.set(name, { ...row, ...change });
  }

  /** Where the owner has the blob, in a live pack. */
  placeOf(owner: Owner, digest: Digest): BlobPlace | undefined {
    const place = this.rows.get(ownerText(owner))?.get(digest);
    return place !== undefined && this.isLive(place.frame.pack) ? place : undefined;
  }

  rowsOf(owner: Owner): Map<Digest, BlobPlace> {
    const text = ownerText(owner);
    const rows = this.rows.get(text) ?? new Map<Digest, BlobPlace>();
    this.rows.set(text, rows);
    return rows;
  }

  /** Puts packs under a hold, begun anew where it had ended. */
  hold(id: string, packs: Iterable<PackName>, ttlMs: number, now: TimeMs): void {
    const known = this.holds.get(id);
    const held = known !== undefined && known.until > now ? known : { packs: new Set<PackName>(), until: now };
    held.until = Math.max(held.until, now + ttlMs);
    for (const pack of packs) held.packs.add(pack);
    this.holds.set(id, held);
    for (const pack of held.packs) {
      const row = this.packs.get(pack);
      if (row !== undefined) this.change(pack, { heldUntil: Math.max(row.heldUntil, held.until) });
    }
  }

  isHeld(id: string, now: TimeMs): boolean {
    const held = this.holds.get(id);
    return held !== undefined && held.until > now;
  }

  refer(packs: readonly PackName[], by: 1 | -1): void {
    for (const pack of packs) {
      const row = this.packs.get(pack);
      if (row !== undefined) this.change(pack, { refCount: row.refCount + by });
    }
  }

  nameOf(at: EntryKey): NameState {
    const text = entryText(at);
    const name = this.names.get(text) ?? { at, published: undefined, pending: undefined };
    this.names.set(text, name);
    return name;
  }

  /** Publishes a row whose references are counted already, and answers the one whose place it took. */
  publish(name: NameState, row: EntryRow): EntryRow | undefined {
    const replaced = name.published;
    if (replaced !== undefined) this.refer(replaced.packs, -1);
    name.published = { ...row, state: 'published' };
    return replaced;
  }

  /** Takes a row away with its references, and the name where nothing is left of it. */
  drop(name: NameState, which: 'published' | 'pending'): void {
    const row = name[which];
    if (row !== undefined) this.refer(row.packs, -1);
    name[which] = undefined;
    if (name.published === undefined && name.pending === undefined) this.names.delete(entryText(name.at));
  }

  /** The names in their order. */
  sortedNames(): readonly NameState[] {
    return [...this.names].toSorted(([left], [right]) => compareText(left, right)).map(([, name]) => name);
  }

  usage(): readonly OwnerUsage[] {
    const sums = new Map<string, { packBytes: number; packCount: number; entryCount: number }>();
    const sumOf = (owner: Owner) => {
      const text = ownerText(owner);
      const sum = sums.get(text) ?? { packBytes: 0, packCount: 0, entryCount: 0 };
      sums.set(text, sum);
      return sum;
    };
    for (const { owner, sizeBytes, state } of this.packs.values()) {
      if (state !== 'live') continue;
      const sum = sumOf(owner);
      sum.packBytes += sizeBytes;
      sum.packCount += 1;
    }
    for (const { at, published } of this.names.values()) if (published !== undefined) sumOf(at.owner).entryCount += 1;
    return [...sums].toSorted(([left], [right]) => compareText(left, right)).map(([text, sum]) => ({ owner: ownerOfText(text), ...sum }));
  }
}

/** A new entry as a row. */
export function entryRow(entry: NewEntry, state: EntryRow['state'], now: TimeMs): EntryRow {
  return { ...entry, state, createdAt: now, usedAt: now };
}

/** A pack of a name that nobody has added, condemned. */
export function unknownPack(name: PackName, now: TimeMs): PackRow {
  const owner = { project: '', scope: '' };
  const times = { createdAt: now, usedAt: now, heldUntil: 0, condemnedAt: undefined };
  return { name, owner, sizeBytes: 0, producer: '', state: 'condemned', refCount: 0, ...times };
}
