import { packOfKey } from '../../../cache/packs/names.ts';
import type { PackName } from '../../../cache/store-index/store-index.ts';

/** Something that must never be. */
export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** An entry whose writer was told that it is kept. */
export type Kept = {
  readonly name: string;
  readonly object: string;
  readonly packs: readonly PackName[];
  lastUseMs: number;
  dropped: boolean;
};

type Record = { readonly name: string; readonly packs: readonly PackName[] };

/** By how much the index's clock may be wrong about how long something was unused. */
const SLACK_MS = 4 * 3_600_000;

/**
 * Knows what was promised to whom, from the outside alone: answers that clients got, and what happens to objects. It is told of each
 * effect on the bucket in the moment when it happens.
 */
export class Checker {
  readonly #objects = new Map<string, string>();
  readonly #packNames = new Set<string>();
  readonly #dropping = new Set<string>();
  readonly #dropped = new Set<string>();
  readonly #kept = new Map<string, Kept>();
  /** What the signed objects say, of entries that anybody ever put. */
  readonly #records = new Map<string, Record>();
  /** Until when, in real time, somebody may read the pack by a URL. */
  readonly #urls = new Map<PackName, number>();
  readonly #entryRetentionMs: number;
  failure: Violation | undefined;
  checks = 0;

  constructor(entryRetentionMs: number) {
    this.#entryRetentionMs = entryRetentionMs;
  }

  put(key: string, body: string): void {
    const pack = packOfKey(key);
    if (pack !== undefined && this.#objects.get(key) !== body) {
      if (this.#packNames.has(pack)) this.fail('name-once', `the name ${pack} was used twice`);
      this.#packNames.add(pack);
    }
    this.#objects.set(key, body);
    if (key.startsWith('e/')) this.#records.set(key, recordOf(body));
  }

  deleted(key: string, nowMs: number): void {
    if (!this.#objects.has(key)) return;
    this.#objects.delete(key);
    this.checks += 1;
    const pack = packOfKey(key);
    if (pack !== undefined) return this.#packDeleted(pack, nowMs);
    const kept = this.#kept.get(key);
    if (kept === undefined || kept.dropped) return;
    const unusedMs = nowMs - kept.lastUseMs;
    if (unusedMs >= this.#entryRetentionMs - SLACK_MS || this.#hasOther(kept)) kept.dropped = true;
    else this.fail('kept', `the record ${key} went, which was used ${Math.round(unusedMs / 60_000)} min ago`);
  }

  /** The writer was told that the entry is kept. */
  acknowledged(name: string, object: string, packs: readonly PackName[], nowMs: number): void {
    const known = this.#kept.get(object);
    if (known !== undefined || this.#dropping.has(object)) return;
    const kept = { name, object, packs, lastUseMs: nowMs, dropped: false };
    this.#kept.set(object, kept);
    for (const pack of packs) if (!this.hasPack(pack)) this.#lost(kept, pack);
  }

  /**
   * Somebody takes the entry away on purpose; earlier versions of its name, whose objects may be left over, are not owed either, be it
   * that their writers have yet to learn that they were kept.
   */
  dropping(name: string, object: string): void {
    for (const [other, record] of this.#records) if (record.name === name && other <= object) this.#dropping.add(other);
    for (const kept of this.#kept.values()) if (kept.name === name) kept.dropped = true;
  }

  /** It was said to be taken away: it must not come back for good. */
  droppedForGood(object: string): void {
    this.#dropped.add(object);
  }

  /** Looks at what the index has when all is quiet. */
  hasDropped(objects: readonly string[]): void {
    const back = objects.find((object) => this.#dropped.has(object));
    if (back !== undefined) this.fail('dropped', `${back} came back`);
  }

  used(object: string, nowMs: number): void {
    const kept = this.#kept.get(object);
    if (kept !== undefined) kept.lastUseMs = nowMs;
  }

  /** A reader got a URL of the pack. */
  gaveUrl(pack: PackName, untilMs: number): void {
    this.#urls.set(pack, Math.max(this.#urls.get(pack) ?? 0, untilMs));
    if (!this.hasPack(pack)) this.fail('url', `a URL of ${pack} was given, whose object is gone`);
  }

  hasPack(pack: PackName): boolean {
    return this.#objects.has(`p/${pack.slice(0, 2)}/${pack}`);
  }

  /** Entries that must be found, one of the versions of each name. */
  owed(nowMs: number): ReadonlyMap<string, readonly Kept[]> {
    const names = new Map<string, Kept[]>();
    for (const kept of this.#kept.values()) {
      if (kept.dropped || nowMs - kept.lastUseMs >= this.#entryRetentionMs - SLACK_MS) continue;
      names.set(kept.name, [...(names.get(kept.name) ?? []), kept]);
    }
    return names;
  }

  keys(prefix: string): readonly string[] {
    return [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  }

  fail(invariant: string, what: string): void {
    this.failure ??= new Violation(invariant, what);
  }

  #packDeleted(pack: PackName, nowMs: number): void {
    if ((this.#urls.get(pack) ?? 0) > nowMs) this.fail('url', `the pack ${pack} was deleted while a URL of it was valid`);
    for (const kept of this.#kept.values()) {
      if (!kept.dropped && kept.packs.includes(pack)) this.#lost(kept, pack);
    }
  }

  #lost(kept: Kept, pack: PackName): void {
    if (!this.#objects.has(kept.object)) return;
    if (this.#hasOther(kept)) kept.dropped = true;
    else this.fail('kept', `${kept.object} needs the pack ${pack}, which is gone`);
  }

  /** Whether another version of the name is there, whole: it may have taken the place of this one. */
  #hasOther(kept: Kept): boolean {
    for (const [object, { name, packs }] of this.#records) {
      if (object === kept.object || name !== kept.name || !this.#objects.has(object) || this.#kept.get(object)?.dropped === true) continue;
      if (packs.every((needed) => this.hasPack(needed))) return true;
    }
    return false;
  }
}

function recordOf(body: string): Record {
  // As savers write it.
  const { at, packs } = JSON.parse(body) as { readonly at: { readonly key: string }; readonly packs: readonly PackName[] };
  return { name: at.key, packs };
}
