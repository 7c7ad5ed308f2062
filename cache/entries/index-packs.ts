import type { Env } from '../../base/env.ts';
import { isFault } from '../../base/fault.ts';
import { isIdle } from '../gc/collector.ts';
import { GC_SETTINGS } from '../gc/settings.ts';
import type { PackName, PackRow, StoreIndex } from '../store-index/store-index.ts';
import type { PurgedPacks } from './entry-parts.ts';
import type { PurgeCriteria } from './purge.ts';

const PAGE_COUNT = 500;

/**
 * The packs of a purge, as the index knows them: of a build or a caller, who is their producer. Those that nothing needs and nobody has
 * asked for within `promisedMs` are condemned at once, and deleted after the grace time as others are. What was asked for since may be
 * promised to a build that is under way: whoever is told that a blob is there does not store it again. It goes when garbage collection
 * would take it, and does no harm until then: bytes have the digest that they are asked for by, whoever stored them.
 */
export function indexedPacks(index: StoreIndex, env: Env, promisedMs = GC_SETTINGS.packRetentionMs): PurgedPacks {
  return {
    async retire(project, criteria, dryRun, signal) {
      const sums = { retiredCount: 0, waitingCount: 0 };
      const { epoch, complete } = await index.epoch(signal);
      const now = await index.now(signal);
      for (const producer of [criteria.build, criteria.agent, criteria.caller]) {
        if (producer === undefined) continue;
        for (let after: PackName | undefined; ;) {
          const page = await index.packs({ producer, state: 'live' }, after, PAGE_COUNT, signal);
          after = page.at(-1)?.name;
          if (after === undefined) break;
          for (const row of page.filter((one) => fits(one, project, criteria))) {
            const isFree = complete && isIdle(row, now, now - promisedMs);
            const isRetired = isFree && (dryRun || (await condemned(index, row.name, epoch, now - promisedMs, signal)));
            sums[isRetired ? 'retiredCount' : 'waitingCount'] += 1;
          }
        }
      }
      env.log.debug('packs-purged', { project, dryRun, ...sums });
      return sums;
    },
  };
}

function fits({ owner, createdAt }: PackRow, project: string, { scope, writtenFrom, writtenBefore }: PurgeCriteria): boolean {
  return (
    owner.project === project &&
    (scope === undefined || owner.scope === scope) &&
    (writtenFrom === undefined || createdAt >= writtenFrom) &&
    (writtenBefore === undefined || createdAt < writtenBefore)
  );
}

/** Whether it is condemned now: it may have been used meanwhile. */
async function condemned(index: StoreIndex, name: PackName, epoch: string, unusedSince: number, signal: AbortSignal): Promise<boolean> {
  try {
    return await index.condemn(name, epoch, unusedSince, signal);
  } catch (error) {
    if (isFault(error, 'WRONG_STATE')) return false; // another epoch has begun
    throw error;
  }
}
