import { fitsEntry } from '../filter.ts';
import { compareText, entryText } from '../order.ts';
import { tooManyPacks } from '../refusals.ts';
import { USE_GRAIN_MS } from '../store-index.ts';
import type { EntryKey, EntryKind, EntryRow, EntryRowFilter, Hold, NewEntry, PackName, Prepared } from '../store-index.ts';
import { slicesOf } from '../slices.ts';
import { after as afterName, endOfPrefix, from as fromName } from './range.ts';
import type { Step } from './redis.ts';
import { decodeEntry, encodeEntry } from './row.ts';
import { listOf, textIn } from './script.ts';

type Named = EntryKey & { readonly object: string };

const PAGE = 200;

/** Entries of an index in Redis. */
export class RedisEntries {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  async prepare(entry: NewEntry, { epoch, id }: Hold, signal: AbortSignal): Promise<Prepared> {
    const tooMany = tooManyPacks(entry);
    if (tooMany !== undefined) throw tooMany;
    const args = [entryText(entry.at), entry.object, encodeEntry(entry), entry.record, Number(entry.replace)];
    const [word, of] = listOf(await this.#step(signal, 'prepare', epoch, id, ...args));
    switch (textIn(word)) {
      case 'exists':
        return { kind: 'exists', entry: decodeEntry(of ?? null) };
      case 'packs-gone':
        return { kind: 'packs-gone', packs: listOf(of).map(textIn) as PackName[] }; // of those that were given
      default:
        return { kind: 'prepared' };
    }
  }

  async publish(entry: Named, signal: AbortSignal): Promise<EntryRow | undefined> {
    const [replaced = null] = listOf(await this.#step(signal, 'publish', entryText(entry), entry.object));
    return replaced === null ? undefined : decodeEntry(replaced);
  }

  async drop(entry: Named & { readonly onlyPending?: boolean }, signal: AbortSignal): Promise<boolean> {
    return listOf(await this.#step(signal, 'drop', entryText(entry), entry.object, Number(entry.onlyPending ?? false))).length > 0;
  }

  async restore(entry: NewEntry, epoch: string, signal: AbortSignal): Promise<boolean> {
    const tooMany = tooManyPacks(entry);
    if (tooMany !== undefined) throw tooMany;
    const args = [epoch, entryText(entry.at), entry.object, encodeEntry(entry), entry.record, Number(entry.replace)];
    return listOf(await this.#step(signal, 'restore', ...args)).length > 0;
  }

  async get(kind: EntryKind, project: string, scopes: readonly string[], key: string, signal: AbortSignal): Promise<EntryRow | undefined> {
    const names = scopes.map((scope) => entryText({ kind, owner: { project, scope }, key }));
    const [row] = listOf(await this.#step(signal, 'get', USE_GRAIN_MS, ...names));
    return row === undefined ? undefined : decodeEntry(row);
  }

  async newest(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    prefix: string,
    signal: AbortSignal,
  ): Promise<EntryRow | undefined> {
    for (const scope of scopes) {
      const begin = entryText({ kind, owner: { project, scope }, key: prefix });
      let [best, time] = ['', '0'];
      for (let least = fromName(begin); ;) {
        const [name, created, last] = listOf(await this.#step(signal, 'newest', best, time, least, endOfPrefix(begin), PAGE)).map(textIn);
        [best, time] = [name ?? '', created ?? '0'];
        if (last === undefined || last === '') break;
        least = afterName(last);
      }
      // It may have gone since it was found: then the next scope has its turn.
      const [row] = best === '' ? [] : listOf(await this.#step(signal, 'get', USE_GRAIN_MS, best));
      if (row !== undefined) return decodeEntry(row);
    }
    return undefined;
  }

  async list(filter: EntryRowFilter, after: EntryKey | undefined, limit: number, signal: AbortSignal): Promise<readonly EntryRow[]> {
    const rows = filter.state === 'pending' ? this.#pendingRows(after, signal) : this.#rows(filter, after, signal);
    const found: EntryRow[] = [];
    let names = 0;
    let last = '';
    for await (const row of rows) {
      if (!fitsEntry(row, filter)) continue;
      const name = entryText(row.at);
      if (name !== last) names += 1;
      if (names > limit) break;
      last = name;
      found.push(row);
    }
    return found;
  }

  async known(objects: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const known = new Set<string>();
    for (const slice of slicesOf(objects, PAGE)) {
      for (const object of listOf(await this.#step(signal, 'known', ...slice))) known.add(textIn(object));
    }
    return known;
  }

  /** Drops all that need a pack which is not live. */
  async dropNeedless(epoch: string, signal: AbortSignal): Promise<void> {
    let names: string[] = [];
    const drop = async () => {
      await this.#step(signal, 'unneed', epoch, ...names);
      names = [];
    };
    for await (const row of this.#rows({}, undefined, signal)) {
      if (names.push(entryText(row.at)) === PAGE) await drop();
    }
    await drop();
  }

  /** Rows in their order, page by page. */
  async *#rows(filter: EntryRowFilter, after: EntryKey | undefined, signal: AbortSignal): AsyncGenerator<EntryRow, void, undefined> {
    const prefix = prefixOf(filter);
    let least = fromName(prefix);
    if (after !== undefined && compareText(entryText(after), prefix) >= 0) least = afterName(entryText(after));
    const end = prefix === '' ? '+' : endOfPrefix(prefix);
    for (;;) {
      const [rows, last] = listOf(await this.#step(signal, 'list', least, end, PAGE));
      for (const row of listOf(rows)) yield decodeEntry(row);
      const lastName = textIn(last);
      if (lastName === '') return;
      least = afterName(lastName);
    }
  }

  /** Names with a pending entry are few: they are looked up by themselves. */
  async *#pendingRows(after: EntryKey | undefined, signal: AbortSignal): AsyncGenerator<EntryRow, void, undefined> {
    const names = new Set<string>();
    let cursor = '0';
    do {
      const [next, some] = listOf(await this.#step(signal, 'pending', cursor, PAGE));
      for (const name of listOf(some)) names.add(textIn(name));
      cursor = textIn(next);
    } while (cursor !== '0');
    const wanted = [...names].filter((name) => after === undefined || compareText(name, entryText(after)) > 0).toSorted(compareText);
    for (const slice of slicesOf(wanted, PAGE)) {
      const [rows] = listOf(await this.#step(signal, 'rows', ...slice));
      for (const row of listOf(rows)) yield decodeEntry(row);
    }
  }
}

/** What all names that fit begin with, as far as that can be said. */
function prefixOf({ project, scope, kind }: EntryRowFilter): string {
  if (project === undefined) return '';
  if (scope === undefined) return `${project}\0`;
  return kind === undefined ? `${project}\0${scope}\0` : `${project}\0${scope}\0${kind}\0`;
}
