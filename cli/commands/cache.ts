import { parseDurationMs } from '../../base/quantity.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import type { PurgeCriteria } from '../../cache/entries/purge.ts';
import type { EntryKind } from '../../cache/store-index/store-index.ts';
import { openCache, type CacheLink } from '../cache/open.ts';
import { producerNamed } from '../cache/producer.ts';
import { collectionLines, entries, entryJson, entryTable, nameJson, purgeLines, stagingLines, usageTable } from '../cache/render.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, printLines, say, type Session } from '../session.ts';

/** What each scope that the caller may know of uses, may use, and has lost for want of room. */
export async function statsCommand(session: Session): Promise<number> {
  using cache = await openCache(session);
  const scopes = await cache.admin.usage(cache.instanceName, session.signal);
  const staging = await cache.admin.staging(session.signal);
  if (session.json) {
    const flat = scopes.map(({ owner, quota, ...counts }) => ({
      scope: owner.scope,
      ...counts,
      ...(quota === undefined ? {} : { quota }),
    }));
    printJson(session, { project: cache.project, scopes: flat, staging });
  } else printLines(session, [...usageTable(scopes, session.style), ...stagingLines(staging)]);
  return EXIT.ok;
}

/** Which entries are meant. */
export type EntryFilterOptions = { readonly kind?: EntryKind; readonly scope?: string; readonly by?: string };

export async function filterOf(session: Session, { server }: Pick<CacheLink, 'server'>, { kind, scope, by }: EntryFilterOptions) {
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(scope === undefined ? {} : { scope }),
    ...(by === undefined ? {} : { producer: await producerNamed(session, server, by) }),
  };
}

/** Lists entries, newest first. */
export async function listCommand(session: Session, options: EntryFilterOptions & { readonly limit: number }): Promise<number> {
  using cache = await openCache(session);
  let newest: Entry[] = [];
  let total = 0;
  const cut = () => (newest = newest.toSorted((a, b) => b.writtenAt - a.writtenAt).slice(0, options.limit));
  const filter = await filterOf(session, cache, options);
  for await (const entry of cache.admin.list(cache.listedFrom(options.scope), filter, session.signal)) {
    total += 1;
    newest.push(entry);
    if (newest.length >= 2 * options.limit + 1_000) cut(); // a project may have a million of them
  }
  cut();
  if (session.json) printJson(session, { entries: newest.map(entryJson), total });
  else {
    printLines(session, total === 0 ? ['No entries.'] : entryTable(newest, cache.clock.now(), session.style));
    if (total > newest.length) say(session, `The newest ${newest.length} of ${entries(total)}; --limit shows more.`);
  }
  return EXIT.ok;
}

export type PurgeOptions = {
  readonly build?: string;
  readonly agent?: string;
  readonly caller?: string;
  readonly scope?: string;
  readonly kind?: EntryKind;
  readonly key?: string;
  readonly since?: string;
  readonly until?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
};

/** Takes away what somebody made with all that was made from it; without `yes` it only says what would go. */
export async function purgeCommand(session: Session, options: PurgeOptions): Promise<number> {
  const { since, until, dryRun: asked, yes = false, ...names } = options;
  if (asked === true && yes) throw new UsageError('--dry-run and --yes exclude each other', 'Leave out --yes to look first.');
  const isGiven = [names.build, names.agent, names.caller, names.scope, names.kind, names.key, since, until].some(
    (one) => one !== undefined,
  );
  if (!isGiven)
    throw new UsageError('Say what is to go', 'Give at least one of --build, --agent, --caller, --scope, --kind, --key, --since, --until.');
  using cache = await openCache(session);
  const now = cache.clock.now();
  const criteria = await criteriaOf(session, cache, options, now);
  const answer = await cache.admin.purge(cache.instanceName, criteria, !yes, session.signal);
  if (session.json) {
    const { purged, ...counts } = answer;
    const rows = purged.map(({ at, provenance, writtenAt, consumed }) => ({
      ...nameJson(at),
      writtenAtMs: writtenAt,
      build: provenance.build,
      step: provenance.step,
      agent: provenance.agent,
      caller: provenance.caller,
      ...(consumed === undefined ? {} : { consumed: nameJson(consumed) }),
    }));
    printJson(session, { dryRun: !yes, ...counts, purged: rows });
  } else {
    printLines(session, purgeLines(answer, !yes, now, session.style));
    if (names.key !== undefined && answer.purgedCount === 0)
      say(session, 'A purge wants the whole key, as "switchyard cache ls" shows it.');
  }
  return EXIT.ok;
}

async function criteriaOf(session: Session, { server }: CacheLink, options: PurgeOptions, now: number): Promise<PurgeCriteria> {
  const { since, until, build, agent, caller, scope, kind, key } = options;
  const from = since === undefined ? undefined : instantOf('--since', since, now);
  const before = until === undefined ? undefined : instantOf('--until', until, now);
  if (from !== undefined && before !== undefined && from >= before)
    throw new UsageError('--until is before --since', '--since is the beginning: the longer ago, such as --since 4h --until 2h.');
  return {
    ...(build === undefined ? {} : { build: await producerNamed(session, server, build) }),
    ...(agent === undefined ? {} : { agent }),
    ...(caller === undefined ? {} : { caller }),
    ...(scope === undefined ? {} : { scope }),
    ...(kind === undefined ? {} : { kind }),
    ...(key === undefined ? {} : { key }),
    ...(from === undefined ? {} : { writtenFrom: from }),
    ...(before === undefined ? {} : { writtenBefore: before }),
  };
}

/** `2h` is two hours ago; else a date, with or without a time. */
export function instantOf(flag: string, text: string, nowMs: number): number {
  const ago = parseDurationMs(text);
  if (ago !== undefined) return nowMs - ago;
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new UsageError(`${flag} is "${text}"`, 'Write how long ago, such as 2h, or a time such as 2026-03-01T14:00Z.');
  return at;
}

/** What garbage collection would take away. It goes on by itself: there is nothing to start. */
export async function gcCommand(session: Session, options: { readonly dryRun?: boolean }): Promise<number> {
  if (options.dryRun !== true)
    throw new UsageError('Garbage is collected all the time, by the data plane itself', 'Add --dry-run to see what would go now.');
  using cache = await openCache(session);
  const plan = await cache.admin.planCollection(cache.instanceName, session.signal);
  if (session.json) {
    const rows = plan.entries.map(({ at, why, usedAt }) => ({ ...nameJson(at), why, usedAtMs: usedAt }));
    const packs = plan.packs.map(({ goesAt, ...pack }) => ({ ...pack, goesAtMs: goesAt }));
    printJson(session, { ...plan, entries: rows, packs });
  } else printLines(session, collectionLines(plan, cache.clock.now(), session.style));
  return EXIT.ok;
}
