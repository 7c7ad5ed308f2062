import { setImmediate as nextTurn } from 'node:timers/promises';
import { scopeChain } from '../../base/caller.ts';
import type { TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { entryText } from '../store-index/order.ts';
import type { EntryKey, EntryKind } from '../store-index/store-index.ts';
import type { Consumed, Entry, EntryStore, Provenance } from './entry-store.ts';

/** What to take away: all that is given must fit, and at least one must be given. */
export type PurgeCriteria = {
  readonly build?: string;
  readonly agent?: string;
  readonly caller?: string;
  readonly scope?: string;
  readonly kind?: EntryKind;
  readonly key?: string;
  /** Written at this time or later. */
  readonly writtenFrom?: TimeMs;
  /** Written before this time. */
  readonly writtenBefore?: TimeMs;
};

export type Purged = {
  readonly at: EntryKey;
  readonly provenance: Provenance;
  readonly writtenAt: TimeMs;
  /** The entry through which it was reached, and which may be gone already; undefined where it fits the criteria itself. */
  readonly consumed: EntryKey | undefined;
};

export type PurgeReport = {
  /** In the order in which they were reached. */
  readonly purged: readonly Purged[];
  /** Entries of the project that were looked at. */
  readonly examinedCount: number;
};

const PAGE_COUNT = 500;
/** Passes over the project: what is written while one goes on is found by the next. */
const PASSES_MAX = 5;

/** What `purge` would take away now. Takes nothing away. @throws {Fault} BAD_REQUEST without criteria; STORE_UNAVAILABLE */
export async function planPurge(entries: EntryStore, project: string, criteria: PurgeCriteria, signal: AbortSignal): Promise<PurgeReport> {
  checkCriteria(criteria);
  const rows = await allRows(entries, project, signal);
  return { purged: reached(rows, criteria), examinedCount: rows.length };
}

/**
 * Takes away what fits, and everything that was made from it, whoever made that. What was consumed counts by who made it, too: where a
 * bad entry has been replaced since, those made from it are found all the same. Done again until nothing more is found; builds that
 * are under way may still write what they made from it, so purge once more when they have ended.
 * @throws {Fault} as `planPurge`; what was taken away by then stays so
 */
export async function purge(
  entries: EntryStore,
  project: string,
  criteria: PurgeCriteria,
  onPurged: (at: EntryKey) => void,
  signal: AbortSignal,
): Promise<PurgeReport> {
  checkCriteria(criteria);
  const all: Purged[] = [];
  let examinedCount = 0;
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const rows = await allRows(entries, project, signal);
    examinedCount = Math.max(examinedCount, rows.length);
    const found = reached(rows, criteria, all);
    if (found.length === 0) break;
    for (const one of found) {
      await entries.drop(one.at, signal);
      onPurged(one.at);
    }
    all.push(...found);
  }
  return { purged: all, examinedCount };
}

function checkCriteria(criteria: PurgeCriteria): void {
  if (Object.values(criteria).every((value) => value === undefined)) {
    throw new Fault('BAD_REQUEST', 'A purge without any criterion would take everything: name a build, agent, caller, scope, key or time');
  }
}

type Row = Pick<Entry, 'at' | 'provenance' | 'writtenAt'>;

/** All entries of the project, without their values. */
async function allRows(entries: EntryStore, project: string, signal: AbortSignal): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const page = await entries.list(project, {}, rows.at(-1)?.at, PAGE_COUNT, signal);
    rows.push(...page.map(({ at, provenance, writtenAt }) => ({ at, provenance, writtenAt })));
    if (page.length < PAGE_COUNT) return rows;
    await nextTurn(undefined, { signal });
  }
}

/** Those that fit, and those that were made from them or from `gone`, which fitted before. */
function reached(rows: readonly Row[], criteria: PurgeCriteria, gone: readonly Purged[] = []): readonly Purged[] {
  const consumers = new Map<string, { readonly row: Row; readonly used: Consumed }[]>();
  const found = new Map<Row, Purged>();
  const take = (row: Row, consumed: EntryKey | undefined) => {
    if (!found.has(row)) found.set(row, { at: row.at, provenance: row.provenance, writtenAt: row.writtenAt, consumed });
  };
  for (const row of rows) {
    if (fits(row, criteria)) take(row, undefined);
    for (const used of row.provenance.consumed) {
      for (const scope of scopesOf(used)) {
        const name = entryText(nameOfConsumed(row, { ...used, scope }));
        const others = consumers.get(name);
        if (others === undefined) consumers.set(name, [{ row, used }]);
        else others.push({ row, used }); // in place: everything may have been made from one checkout
      }
      if (consumedFits(row, used, criteria)) take(row, nameOfConsumed(row, used));
    }
  }
  const follow = ({ at, provenance }: Purged) => {
    for (const { row, used } of consumers.get(entryText(at)) ?? []) {
      // Another one of the same name, made by somebody else, may have been there when it was used.
      const isThatOne = (used.build === '' || used.build === provenance.build) && (used.agent === '' || used.agent === provenance.agent);
      if (isThatOne) take(row, at);
    }
  };
  for (const one of gone) follow(one);
  for (const one of found.values()) follow(one); // those that are taken meanwhile come last, and are followed in their turn
  return [...found.values()];
}

function fits({ at, provenance, writtenAt }: Row, criteria: PurgeCriteria): boolean {
  const { build, agent, caller, scope, kind, key, writtenFrom, writtenBefore } = criteria;
  return (
    (build === undefined || build === provenance.build) &&
    (agent === undefined || agent === provenance.agent) &&
    (caller === undefined || caller === provenance.caller) &&
    (scope === undefined || scope === at.owner.scope) &&
    (kind === undefined || kind === at.kind) &&
    (key === undefined || key === at.key) &&
    (writtenFrom === undefined || writtenAt >= writtenFrom) &&
    (writtenBefore === undefined || writtenAt < writtenBefore)
  );
}

/**
 * Whether what an entry was made from would have fitted, as far as the entry knows it. Who asked for that is not known, and when it was
 * written only that it was before.
 */
function consumedFits({ writtenAt }: Row, used: Consumed, criteria: PurgeCriteria): boolean {
  const { build, agent, caller, scope, kind, key, writtenFrom } = criteria;
  if (caller !== undefined || (build === undefined && agent === undefined)) return false;
  return (
    (build === undefined || build === used.build) &&
    (agent === undefined || agent === used.agent) &&
    (scope === undefined || scopesOf(used).includes(scope)) &&
    (kind === undefined || kind === used.kind) &&
    (key === undefined || key === used.key) &&
    (writtenFrom === undefined || writtenAt >= writtenFrom)
  );
}

/** The scopes in which what was used may have been: of a result it is only known from which one on it was looked up. */
function scopesOf({ kind, scope }: Consumed): readonly string[] {
  return kind === 'action' ? scopeChain(scope) : [scope];
}

function nameOfConsumed({ at }: Row, { kind, scope, key }: Consumed): EntryKey {
  return { kind, owner: { project: at.owner.project, scope }, key };
}
