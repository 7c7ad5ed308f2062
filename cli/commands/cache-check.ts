import { Fault } from '../../base/fault.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import type { EntryKey, EntryKind } from '../../cache/store-index/store-index.ts';
import { checkEntries, type CheckedEntries } from '../cache/check-entries.ts';
import { findKey, kindOfKey } from '../cache/find-key.ts';
import { openCache, type CacheLink } from '../cache/open.ts';
import { brokenLines, entries, entryJson } from '../cache/render.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, printLines, resolveBuild, status, type Session } from '../session.ts';
import { stepUnknown } from '../step-name.ts';
import { count, formatBytes } from '../view/format.ts';
import { filterOf, type EntryFilterOptions } from './cache.ts';

export type VerifyOptions = EntryFilterOptions & { readonly all?: boolean; readonly sample: number };

/** Has all blobs of entries read at the data plane, and says which are missing or damaged. */
export async function verifyCommand(session: Session, options: VerifyOptions): Promise<number> {
  using cache = await openCache(session);
  const size = options.all === true ? Number.POSITIVE_INFINITY : options.sample;
  const chosen: EntryKey[] = [];
  let total = 0;
  const filter = await filterOf(session, cache, options);
  for await (const { at } of cache.admin.list(cache.listedFrom(options.scope), filter, session.signal)) {
    total += 1;
    // Each entry is as likely to be among those chosen as any other.
    if (chosen.length < size) chosen.push(at);
    else {
      const place = Math.floor(session.prng.next() * total);
      if (place < size) chosen[place] = at;
    }
  }
  const checked = await checkWithStatus(session, cache, cache.listedFrom(options.scope), chosen);
  if (session.json) printJson(session, { total, ...checkedJson(checked) });
  else if (total === 0) printLines(session, ['No entries.']);
  else {
    const read = `${checked.entryCount} of ${entries(total)} read: ${count(checked.blobCount, 'blob')}, ${formatBytes(checked.readBytes)}`;
    printLines(session, [...brokenText(checked, cache, session), `${read}; ${verdictOf(checked)}`]);
  }
  return checked.broken.length === 0 ? EXIT.ok : EXIT.failed;
}

function verdictOf({ broken, goneCount }: CheckedEntries): string {
  const gone = goneCount === 0 ? '' : `; ${goneCount} had gone meanwhile`;
  return `${broken.length === 0 ? 'all are whole' : `${broken.length} ${broken.length === 1 ? 'is' : 'are'} not whole`}${gone}`;
}

function brokenText({ broken }: CheckedEntries, { clock }: CacheLink, { style }: Session): readonly string[] {
  return broken.flatMap((one) => brokenLines(one, clock.now(), style));
}

function checkedJson({ broken, ...counts }: CheckedEntries) {
  return { ...counts, broken: broken.map(({ entry, ...found }) => ({ ...entryJson(entry), ...found })) };
}

async function checkWithStatus(
  session: Session,
  { admin }: CacheLink,
  instanceName: string,
  names: readonly EntryKey[],
): Promise<CheckedEntries> {
  using doing = status(session);
  const onChecked = (done: number) => doing.say(`Reading: ${done} of ${entries(names.length)} …`);
  return await checkEntries(admin, instanceName, names, onChecked, session.signal);
}

export type WarmOptions = { readonly key?: string; readonly kind?: EntryKind; readonly scope?: string };

/** Has the data plane read what a build, one of its steps or a key stands for, so that it lies close to it. */
export async function warmCommand(
  session: Session,
  build: string | undefined,
  step: string | undefined,
  options: WarmOptions,
): Promise<number> {
  if ((build === undefined) === (options.key === undefined))
    throw new UsageError('Say what is to be warmed', 'Write BUILD [STEP], such as "latest compile", or --key KEY.');
  using cache = await openCache(session, options.scope);
  const found =
    options.key === undefined
      ? await entriesOfBuild(session, cache, build ?? '', step)
      : await entriesOfKey(session, cache, options.key, options.kind);
  const checked = await checkWithStatus(
    session,
    cache,
    cache.instanceName,
    found.map(({ at }) => at),
  );
  if (session.json) printJson(session, { address: cache.view.dataAddress, ...checkedJson(checked) });
  else {
    const what = `${entries(checked.entryCount)} with ${count(checked.blobCount, 'blob')}, ${formatBytes(checked.readBytes)}`;
    printLines(session, [...brokenText(checked, cache, session), `Read by the data plane at ${cache.view.dataAddress}: ${what}`]);
  }
  return checked.broken.length === 0 && checked.entryCount > 0 ? EXIT.ok : EXIT.failed;
}

async function entriesOfKey(session: Session, { admin, instanceName }: CacheLink, key: string, kind = kindOfKey(key)) {
  const { found } = await findKey(admin, instanceName, key, kind, session.signal);
  if (found.length === 0)
    throw notThere(`There is no ${kind} entry of the key "${key}"`, '"switchyard cache explain --key" says what is known of it.');
  return found;
}

/** Results of the build's steps, and the dependency caches that they asked for, as far as they are kept. */
async function entriesOfBuild(
  session: Session,
  { server, admin, instanceName }: CacheLink,
  buildText: string,
  name: string | undefined,
): Promise<readonly Entry[]> {
  const { signal } = session;
  const snapshot = await server.snapshot(await resolveBuild(server, buildText, signal), signal);
  const steps = snapshot.steps.filter((step) => name === undefined || step.name === name);
  if (steps.length === 0 && name !== undefined)
    throw stepUnknown(
      name,
      snapshot.steps.map((step) => step.name),
    );
  const found = new Map<string, Entry>();
  for (const { action = '' } of steps) {
    const entry = action === '' ? undefined : await admin.find(instanceName, 'action', action, signal);
    if (entry !== undefined) found.set(`action ${action}`, entry);
  }
  const wanted = new Set(steps.flatMap((step) => step.dependencyCaches ?? []).map(({ key, foundKey }) => foundKey ?? key));
  for (const key of wanted) {
    const { found: ofKey } = await findKey(admin, instanceName, key, 'dependency', signal);
    for (const entry of ofKey) found.set(`${entry.at.owner.scope} ${entry.at.key}`, entry);
  }
  if (found.size === 0) throw notThere('Nothing of it is in the cache', 'Results are kept of steps that are cacheable and succeeded.');
  return [...found.values()];
}

function notThere(message: string, hint: string): Fault {
  return new Fault('ACTION_UNKNOWN', message, { hint });
}
