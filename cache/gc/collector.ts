import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import { forEachWithin } from '../byte-budget.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { packKey } from '../packs/names.ts';
import type { EntryKey, EntryRow, PackName, PackRow, StoreIndex } from '../store-index/store-index.ts';
import { condemnRecords, putCondemnRecord, removeCondemnRecord } from './condemn-records.ts';
import { lastEpoch, repairMark } from './epoch-marks.ts';
import { deleteReplaced, expireEntry } from './expire.ts';
import type { GcSettings } from './settings.ts';

export type CollectorOptions = {
  readonly objects: ObjectStore;
  readonly index: StoreIndex;
  readonly settings: GcSettings;
  readonly env: Env;
};

/** What passes have done, since the process began. */
export type GcCounts = {
  passes: number;
  entriesExpired: number;
  commitsFinished: number;
  commitsUndone: number;
  packsCondemned: number;
  packsDeleted: number;
  bytesDeleted: number;
  packsForgotten: number;
  orphanPacks: number;
  orphanObjects: number;
  uploadsAborted: number;
};

/** What garbage collection does, one after the other. `mark`, `scrub`: once a day. */
export const GC_PHASES = ['mark', 'scrub', 'settle', 'expire', 'condemn', 'record', 'delete', 'forget'] as const;
export type GcPhase = (typeof GC_PHASES)[number];

export function newGcCounts(): GcCounts {
  return {
    passes: 0,
    entriesExpired: 0,
    commitsFinished: 0,
    commitsUndone: 0,
    packsCondemned: 0,
    packsDeleted: 0,
    bytesDeleted: 0,
    packsForgotten: 0,
    orphanPacks: 0,
    orphanObjects: 0,
    uploadsAborted: 0,
  };
}

const PAGE = 1_000;

/**
 * One process's collection of garbage, pass by pass. Any number of them may work on the same store at once, stopped anywhere: each
 * step is made by the index, or is one that does no harm twice. `docs/cache.md` has the argument why nothing goes that is needed.
 */
export class Collector {
  readonly options: CollectorOptions;
  readonly counts: GcCounts;
  /** Time spent in each phase since the process began; one that failed is left out. */
  readonly phaseMs = new Map<GcPhase, number>(GC_PHASES.map((phase) => [phase, 0]));
  /**
   * When this process first saw that a pack's record is durable, by its own monotonic clock: the grace time is waited for by the
   * index's clock and by this one, so that no jump of a clock shortens it.
   */
  readonly #seenAt = new Map<PackName, number>();

  constructor(options: CollectorOptions, counts: GcCounts = newGcCounts()) {
    this.options = options;
    this.counts = counts;
  }

  /**
   * One pass over the index: half-done commits, expired entries, packs to condemn, to delete and to forget. Does nothing while the
   * index is not complete, or where the store says that it belongs to another one.
   */
  async pass(signal: AbortSignal): Promise<void> {
    const epoch = await this.ready(signal);
    if (epoch === undefined) return;
    let since = this.options.env.clock.monotonic();
    await this.#settlePending(epoch, signal);
    since = this.spent('settle', since);
    await this.#expireEntries(signal);
    since = this.spent('expire', since);
    await this.#condemn(epoch, signal);
    since = this.spent('condemn', since);
    await this.record(epoch, signal);
    since = this.spent('record', since);
    await this.#deletePacks(epoch, signal);
    since = this.spent('delete', since);
    await this.#forgetPacks(epoch, signal);
    this.spent('forget', since);
    this.counts.passes += 1;
  }

  /** Adds the time since then, by the monotonic clock, to that of a phase which has ended; when it is now. */
  spent(phase: GcPhase, since: number): number {
    const now = this.options.env.clock.monotonic();
    this.phaseMs.set(phase, (this.phaseMs.get(phase) ?? 0) + now - since);
    return now;
  }

  /** The epoch to work in, or undefined where nothing may be collected now. */
  async ready(signal: AbortSignal): Promise<string | undefined> {
    const { index, objects, env } = this.options;
    const { epoch, complete } = await index.epoch(signal);
    if (!complete) return undefined;
    const last = await repairMark(objects, epoch, signal);
    if (last === epoch) return epoch;
    env.log.error('gc-store-of-other-index', { epoch, last });
    return undefined;
  }

  /**
   * Whether the epoch is still the one of index and store. Asked after what is to go was found out, and right before it goes: whatever
   * an index of another epoch said, or one that was cut off and replaced, is not acted upon.
   */
  async isOwn(epoch: string, signal: AbortSignal): Promise<boolean> {
    const now = await this.options.index.epoch(signal);
    return now.complete && now.epoch === epoch && (await lastEpoch(this.options.objects, signal)) === epoch;
  }

  /** Commits that their writer left half done: published where the signed object is there, else undone. */
  async #settlePending(epoch: string, signal: AbortSignal): Promise<void> {
    const { index, objects, settings } = this.options;
    const before = (await index.now(signal)) - settings.pendingMs;
    await this.#eachEntry({ state: 'pending' }, signal, async ({ at, object, createdAt }, either) => {
      if (createdAt > before) return;
      const entry = { ...at, object };
      if ((await objects.head(object, either)) === undefined) {
        if (await index.dropEntry({ ...entry, onlyPending: true }, either)) this.counts.commitsUndone += 1;
        return;
      }
      const replaced = await index.publish(entry, either).catch(unlessMoved);
      this.counts.commitsFinished += 1;
      if (replaced !== undefined) await deleteReplaced(objects, index, { object: replaced.object, epoch }, either);
    });
  }

  async #expireEntries(signal: AbortSignal): Promise<void> {
    const { index, objects, settings } = this.options;
    const unusedSince = (await index.now(signal)) - settings.entryRetentionMs;
    await this.#eachEntry({ state: 'published', unusedSince }, signal, async ({ at, object }, either) => {
      if (await expireEntry(objects, index, { ...at, object }, either)) this.counts.entriesExpired += 1;
    });
  }

  /** LIVE → CONDEMNED for what nothing needs. */
  async #condemn(epoch: string, signal: AbortSignal): Promise<void> {
    const { index, settings } = this.options;
    const now = await index.now(signal);
    const unusedSince = now - settings.packRetentionMs;
    let left = settings.passPacksMax;
    await this.#eachPack({ state: 'live' }, signal, async (row, either) => {
      if (left <= 0 || !isIdle(row, now, unusedSince)) return;
      left -= 1;
      if (await index.condemn(row.name, epoch, unusedSince, either)) this.counts.packsCondemned += 1;
    });
  }

  /** Makes the records of condemned packs that have none yet: those of this pass, and of whoever was stopped before. */
  async record(epoch: string, signal: AbortSignal): Promise<void> {
    const { index, objects } = this.options;
    await this.#eachPack({ state: 'condemned' }, signal, async ({ name, condemnedAt }, either) => {
      if (condemnedAt !== undefined) return;
      await putCondemnRecord(objects, name, epoch, either);
      await index.condemnRecorded(name, epoch, either).catch(unlessMoved);
    });
  }

  /** Deletes the objects of packs whose grace time is over, and says so to the index: CONDEMNED → DELETED. */
  async #deletePacks(epoch: string, signal: AbortSignal): Promise<void> {
    const { index, objects, settings, env } = this.options;
    const condemned = new Set<PackName>();
    let left = settings.passPacksMax;
    await this.#eachPack({ state: 'condemned' }, signal, async ({ name, condemnedAt, sizeBytes }, either) => {
      condemned.add(name);
      if (condemnedAt === undefined) return;
      const seenAt = this.#seenAt.get(name) ?? env.clock.monotonic();
      this.#seenAt.set(name, seenAt);
      if (left <= 0 || env.clock.monotonic() - seenAt < settings.graceMs) return;
      if (!(await index.mayDelete(name, epoch, settings.graceMs, either))) return;
      // Whoever opened the index anew since has read the record, or shows here.
      if (!(await this.isOwn(epoch, either))) return;
      left -= 1;
      await objects.delete(packKey(name), either);
      await index.deleted(name, either);
      this.counts.packsDeleted += 1;
      this.counts.bytesDeleted += sizeBytes;
    });
    for (const name of this.#seenAt.keys()) if (!condemned.has(name)) this.#seenAt.delete(name);
  }

  /** Forgets deleted packs and their records, long after. */
  async #forgetPacks(epoch: string, signal: AbortSignal): Promise<void> {
    const { index, objects, settings } = this.options;
    const before = (await index.now(signal)) - settings.rememberMs;
    await this.#eachPack({ state: 'deleted' }, signal, async ({ name, condemnedAt }, either) => {
      if ((condemnedAt ?? 0) > before || !(await this.isOwn(epoch, either))) return;
      // A put that was on its way for long may have brought the object back.
      await objects.delete(packKey(name), either);
      for await (const record of condemnRecords(objects, either, name)) await removeCondemnRecord(objects, record, either);
      if (await index.dropPack(name, either)) this.counts.packsForgotten += 1;
    });
  }

  async #eachPack(
    filter: Parameters<StoreIndex['packs']>[0],
    signal: AbortSignal,
    work: (row: PackRow, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    for (let after: PackName | undefined; ;) {
      const page = await this.options.index.packs(filter, after, PAGE, signal);
      after = page.at(-1)?.name;
      if (after === undefined) return;
      await forEachWithin(page, this.options.settings.atOnce, () => 1, work, signal);
    }
  }

  async #eachEntry(
    filter: Parameters<StoreIndex['entries']>[0],
    signal: AbortSignal,
    work: (row: EntryRow, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    for (let after: EntryKey | undefined; ;) {
      const page = await this.options.index.entries(filter, after, PAGE, signal);
      after = page.at(-1)?.at;
      if (after === undefined) return;
      await forEachWithin(page, this.options.settings.atOnce, () => 1, work, signal);
    }
  }
}

/** Whether a live pack can be condemned, as far as a list says: the index decides. */
export function isIdle({ refCount, heldUntil, createdAt, usedAt }: PackRow, now: number, unusedSince: number): boolean {
  return refCount === 0 && heldUntil <= now && createdAt < unusedSince && usedAt < unusedSince;
}

/** Nothing, where the thing is not in that state any more: somebody else was faster. */
function unlessMoved(error: unknown): undefined {
  if (isFault(error, 'WRONG_STATE')) return undefined;
  throw error;
}
