import type { EntryKey, EntryRow, PackName, PackRow } from '../store-index/store-index.ts';
import { isIdle, type CollectorOptions } from './collector.ts';
import { lastEpoch } from './epoch-marks.ts';
import { markReferences, type Mismatch } from './mark.ts';
import { orphanEntries, orphanPacks } from './scrub.ts';

/** One thing that would go, and why. */
export type Planned =
  | { readonly kind: 'entry'; readonly entry: EntryRow; readonly why: 'unused' | 'commit-half-done' }
  | {
      readonly kind: 'pack';
      readonly pack: PackRow;
      /** `unused`: would be condemned now. `in-grace`: would be deleted at `goesAt`, by the index's clock. `grace-over`: now. */
      readonly why: 'unused' | 'unrecorded' | 'in-grace' | 'grace-over';
      readonly goesAt: number;
    }
  | { readonly kind: 'orphan-pack'; readonly name: PackName; readonly sizeBytes: number; readonly modifiedAt: number }
  | { readonly kind: 'orphan-object'; readonly key: string };

export type DryRun = {
  /** Why nothing would be collected at all now; undefined where it would. */
  readonly stopped: string | undefined;
  /** Why packs stay: how many are needed by entries, held, or too young or used lately. */
  readonly kept: { readonly referenced: number; readonly held: number; readonly recent: number };
  readonly mismatches: readonly Mismatch[];
};

const PAGE = 1_000;

/**
 * What a pass and a scrub would do now, thing by thing to `give`, without doing it. Packs of entries that would go are not among
 * it: they go once the entries have gone and their own time is over.
 */
export async function dryRun(options: CollectorOptions, give: (planned: Planned) => void, signal: AbortSignal): Promise<DryRun> {
  const { index, objects, settings } = options;
  const { epoch, complete } = await index.epoch(signal);
  if (!complete) return { stopped: 'the index is still being made ready', kept: { referenced: 0, held: 0, recent: 0 }, mismatches: [] };
  const last = await lastEpoch(objects, signal);
  const now = await index.now(signal);
  await planEntries(options, now, give, signal);
  const kept = await planPacks(options, now, give, signal);
  for await (const orphan of orphanPacks(objects, index, signal)) {
    if (orphan.modifiedAt <= now - settings.orphanMs) give({ kind: 'orphan-pack', ...orphan });
  }
  for await (const keys of orphanEntries(objects, index, now - settings.orphanMs, signal)) {
    for (const key of keys) give({ kind: 'orphan-object', key });
  }
  const mismatches = await markReferences(index, signal);
  const stopped = last !== epoch ? 'the store was opened by another index' : undefined;
  return { stopped: mismatches.length > 0 ? 'counts of references are wrong' : stopped, kept, mismatches };
}

async function planEntries({ index, settings }: CollectorOptions, now: number, give: (planned: Planned) => void, signal: AbortSignal) {
  for (let after: EntryKey | undefined; ;) {
    const page = await index.entries({}, after, PAGE, signal);
    after = page.at(-1)?.at;
    if (after === undefined) return;
    for (const entry of page) {
      const isPending = entry.state === 'pending';
      if (isPending ? entry.createdAt <= now - settings.pendingMs : entry.usedAt < now - settings.entryRetentionMs) {
        give({ kind: 'entry', entry, why: isPending ? 'commit-half-done' : 'unused' });
      }
    }
  }
}

async function planPacks(
  { index, settings }: CollectorOptions,
  now: number,
  give: (planned: Planned) => void,
  signal: AbortSignal,
): Promise<DryRun['kept']> {
  const kept = { referenced: 0, held: 0, recent: 0 };
  for (let after: PackName | undefined; ;) {
    const page = await index.packs({}, after, PAGE, signal);
    after = page.at(-1)?.name;
    if (after === undefined) return kept;
    for (const pack of page) {
      if (pack.state === 'condemned') {
        const goesAt = (pack.condemnedAt ?? now) + settings.graceMs;
        const recorded = goesAt <= now ? 'grace-over' : 'in-grace';
        give({ kind: 'pack', pack, why: pack.condemnedAt === undefined ? 'unrecorded' : recorded, goesAt });
      } else if (pack.state === 'live') {
        if (isIdle(pack, now, now - settings.packRetentionMs)) give({ kind: 'pack', pack, why: 'unused', goesAt: now + settings.graceMs });
        else if (pack.refCount > 0) kept.referenced += 1;
        else if (pack.heldUntil > now) kept.held += 1;
        else kept.recent += 1;
      }
    }
  }
}
