import type { CheckedEntry, CollectionPlan, PlannedWhy, PurgeAnswer } from '../../cache/rpc/entry-admin.ts';
import type { ScopeUsage } from '../../cache/entries/entry-parts.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import type { StagingNow } from '../../cache/rpc/staging-service.ts';
import type { EntryKey } from '../../cache/store-index/store-index.ts';
import { columns, count, formatBytes, formatTime, printable, type Style } from '../view/format.ts';

/* What the commands of the cache print. Pure; `nowMs` is the server's time. */

/** The first row as a head. */
function table(rows: readonly (readonly string[])[], style: Style): readonly string[] {
  const [head = '', ...rest] = columns(rows);
  return [style.bold(head), ...rest];
}

function ago(atMs: number, nowMs: number): string {
  return `${formatTime(nowMs - atMs)} ago`;
}

/** Who made an entry: `build/step`, else the caller. */
export function madeBy({ build, step, caller }: Entry['provenance']): string {
  const run = [build, step].filter((part) => part !== '').join('/');
  return printable(run === '' ? caller : run) || 'unknown';
}

/** An entry as JSON has it: without its value. */
export function entryJson({ at, parts, provenance, writtenAt }: Entry) {
  const { writer, consumed, ...made } = provenance;
  return {
    ...nameJson(at),
    writtenAtMs: writtenAt,
    ...made,
    executed: writer === 'executor',
    consumed: consumed.map(({ kind, scope, key, build, agent }) => ({ kind, scope, key, build, agent })),
    parts,
  };
}

export function nameJson({ kind, owner, key }: EntryKey) {
  return { kind, scope: owner.scope, key };
}

/** What waits for a store that is away, and what was lost or refused meanwhile; nothing where nothing ever was. */
export function stagingLines({ blobs, bytes, limitBytes, refusedCount, droppedCount, away }: StagingNow): readonly string[] {
  const lines: string[] = [];
  if (away !== undefined) lines.push(`The store does not answer: ${printable(away)}`);
  if (blobs > 0)
    lines.push(
      `On the data plane's disk wait for the store: ${count(blobs, 'blob')}, ${formatBytes(bytes)} of at most ${formatBytes(limitBytes)}.`,
    );
  if (refusedCount > 0)
    lines.push(`Refused: ${count(refusedCount, 'upload')}, because there was no more room for what waits (--staging-bytes).`);
  if (droppedCount > 0)
    lines.push(`Dropped: ${count(droppedCount, 'blob')} that waited and can never be stored; the log of the data plane says which.`);
  return lines;
}

/** `dependency npm/… of main`. */
export function nameText({ kind, owner, key }: EntryKey): string {
  return `${kind} ${printable(key)} of ${owner.scope}`;
}

export function entryTable(found: readonly Entry[], nowMs: number, style: Style): readonly string[] {
  const row = ({ at, provenance, writtenAt }: Entry) => [
    at.kind,
    at.owner.scope,
    ago(writtenAt, nowMs),
    madeBy(provenance),
    printable(provenance.agent),
    printable(at.key),
  ];
  return table([['KIND', 'SCOPE', 'WRITTEN', 'BY', 'AGENT', 'KEY'], ...found.map(row)], style);
}

export function usageTable(scopes: readonly ScopeUsage[], style: Style): readonly string[] {
  if (scopes.length === 0) return ['The cache holds nothing that you may see.'];
  const row = ({ owner, entryCount, blobBytes, quota, evictedEntryCount, evictedBlobCount }: ScopeUsage) => [
    owner.scope,
    `${entryCount}${quota === undefined ? '' : ` of ${quota.entryCount}`}`,
    `${formatBytes(blobBytes)}${quota === undefined ? '' : ` of ${formatBytes(quota.blobBytes)}`}`,
    `${entries(evictedEntryCount)}, ${count(evictedBlobCount, 'blob')}`,
  ];
  const sum = (of: (usage: ScopeUsage) => number) => scopes.reduce((total, usage) => total + of(usage), 0);
  const all = [
    'all',
    String(sum(({ entryCount }) => entryCount)),
    formatBytes(sum(({ blobBytes }) => blobBytes)),
    `${entries(sum(({ evictedEntryCount }) => evictedEntryCount))}, ${count(
      sum(({ evictedBlobCount }) => evictedBlobCount),
      'blob',
    )}`,
  ];
  return table([['SCOPE', 'ENTRIES', 'BLOBS', 'WENT FOR ROOM'], ...scopes.map(row), ...(scopes.length > 1 ? [all] : [])], style);
}

export function entries(amount: number): string {
  return amount === 1 ? '1 entry' : `${amount} entries`;
}

/** The beginning of a key, to tell it from others on the same page. */
function shortKey(key: string): string {
  const shown = printable(key);
  return shown.length <= 24 ? shown : `${shown.slice(0, 23)}…`;
}

/** What a purge took away, or would. */
export function purgeLines(answer: PurgeAnswer, dryRun: boolean, nowMs: number, style: Style): readonly string[] {
  const { purged, purgedCount, examinedCount, packCount, waitingPackCount } = answer;
  if (purgedCount === 0 && packCount + waitingPackCount === 0) return [`Nothing fits, of ${entries(examinedCount)} that were looked at.`];
  const rows = purged.map(({ at, provenance, writtenAt, consumed }) => [
    at.kind,
    at.owner.scope,
    ago(writtenAt, nowMs),
    madeBy(provenance),
    printable(provenance.agent),
    consumed === undefined ? 'fits' : `made from ${consumed.kind} ${shortKey(consumed.key)} of ${consumed.owner.scope}`,
    printable(at.key),
  ]);
  const packs = [
    ...(packCount === 0 ? [] : [`${count(packCount, 'pack')} ${dryRun ? 'would be' : packCount === 1 ? 'was' : 'were'} given up`]),
    ...(waitingPackCount === 0 ? [] : [`${count(waitingPackCount, 'pack')} ${waitingText(waitingPackCount === 1)}`]),
  ];
  return [
    ...(rows.length === 0 ? [] : table([['KIND', 'SCOPE', 'WRITTEN', 'BY', 'AGENT', 'WHY', 'KEY'], ...rows], style)),
    ...(purgedCount > purged.length ? [`… and ${entries(purgedCount - purged.length)} more`] : []),
    `${entries(purgedCount)} of ${examinedCount} ${dryRun ? 'would go' : 'went'}${packs.map((text) => `; ${text}`).join('')}`,
    ...(dryRun ? [style.warn('Nothing was taken away: add --yes to do it.')] : []),
  ];
}

function waitingText(isOne: boolean): string {
  return `${isOne ? 'goes' : 'go'} once nothing needs ${isOne ? 'it' : 'them'} and nobody has asked for a day`;
}

const WHY: Readonly<Record<PlannedWhy, string>> = {
  unused: 'nobody used it for as long as it is kept',
  'half-done': 'its write was never finished',
  unrecorded: 'given up; the record of that is about to be written',
  'in-grace': 'given up; its grace time runs',
  'grace-over': 'given up; goes with the next pass',
};

/** What garbage collection would do. */
export function collectionLines(plan: CollectionPlan, nowMs: number, style: Style): readonly string[] {
  if (!plan.hasPacks) return ['Blobs lie in files here, and no garbage is collected: what was used least goes when room is needed.'];
  const entryRows = plan.entries.map(({ at, why, usedAt }) => [at.kind, at.owner.scope, ago(usedAt, nowMs), WHY[why], printable(at.key)]);
  const packRows = plan.packs.map(({ name, scope, sizeBytes, producer, why, goesAt }) => [
    name,
    scope,
    formatBytes(sizeBytes),
    printable(producer),
    goesAt > nowMs ? `in ${formatTime(goesAt - nowMs)} at the earliest` : 'with the next pass',
    WHY[why],
  ]);
  const { kept, stopped } = plan;
  return [
    ...(stopped === undefined ? [] : [style.bad(`Nothing is collected at the moment: ${printable(stopped)}`)]),
    ...(entryRows.length === 0 ? [] : table([['KIND', 'SCOPE', 'USED', 'WHY', 'KEY'], ...entryRows], style)),
    ...(plan.entryCount > plan.entries.length ? [`… and ${entries(plan.entryCount - plan.entries.length)} more`] : []),
    ...(packRows.length === 0 ? [] : table([['PACK', 'SCOPE', 'SIZE', 'PRODUCER', 'GOES', 'WHY'], ...packRows], style)),
    ...(plan.packCount > plan.packs.length ? [`… and ${count(plan.packCount - plan.packs.length, 'pack')} more`] : []),
    `Would go: ${entries(plan.entryCount)}, ${count(plan.packCount, 'pack')} with ${formatBytes(plan.packBytes)}`,
    `Objects of the whole store that nothing names, and that would go: ${plan.orphanCount}`,
    `Packs of the whole store that stay: ${kept.referenced} needed by entries, ${kept.held} held, ${kept.recent} new or used lately`,
  ];
}

/** Digests that are named of one entry; JSON has a hundred. */
const DIGESTS_MAX = 5;

/** One entry of which blobs are not as they should be. */
export function brokenLines({ entry, blobCount, ...found }: CheckedEntry, nowMs: number, style: Style): readonly string[] {
  const { missing, missingCount, damaged, damagedCount } = found;
  const named = (kind: string, digests: readonly string[], total: number) => [
    ...digests.slice(0, DIGESTS_MAX).map((digest) => `  ${kind} ${digest}`),
    ...(total > DIGESTS_MAX ? [`  … and ${total - DIGESTS_MAX} more ${kind}`] : []),
  ];
  return [
    style.bad(`${nameText(entry.at)}: of ${count(blobCount, 'blob')}, ${missingCount} missing, ${damagedCount} damaged`),
    style.dim(`  written ${ago(entry.writtenAt, nowMs)} by ${madeBy(entry.provenance)}`),
    ...named('missing', missing, missingCount),
    ...named('damaged', damaged, damagedCount),
  ];
}
