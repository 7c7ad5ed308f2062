import { hash } from 'node:crypto';
import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf } from '../../base/thrown.ts';
import { Fault } from '../../base/fault.ts';
import type { Env } from '../../base/env.ts';
import type { Keyring } from '../../base/signing.ts';
import { ioFault, type LruDir } from '../lru-dir.ts';
import { ownerOf, partitionOf } from '../owner.ts';
import { compareText, entryText } from '../store-index/order.ts';
import type { EntryKey, EntryKind, Owner } from '../store-index/store-index.ts';
import { checkKey, checkPrefix, isSameWrite, sameValue } from './check.ts';
import type { EntryCounters } from './counters.ts';
import { isProducedBy, type Entry, type EntryFilter, type EntryStore, type EntryUsage, type Put } from './entry-store.ts';
import { KeptEntries } from './kept.ts';
import { RecordCodec } from './reader.ts';

/** Keys of files that are remembered, over all owners: a file's name is the hash of its key. */
const REMEMBERED = 200_000;
/** What the files of dependency caches begin with: few to an owner, and looked through as a whole. */
const DEPENDENCY = 'd-';

/** Files read in one turn. */
const TURN_FILES = 64;

/** Lists under way that are remembered from page to page, and for how long. */
const LISTS_MAX = 16;
const LIST_MS = 60_000;

type Named = { readonly text: string; readonly kind: EntryKind; readonly key: string };
type Known = { readonly kind: EntryKind; readonly key: string; readonly writtenAt: number };

/**
 * Entries in a directory of files, a partition per owner and a file per entry. Several processes may share the directory. What is not
 * signed for its name is removed. Owners that use little lose nothing to others: see `LruDir`.
 */
export function diskEntryStore(files: LruDir, keys: Keyring, env: Env, counters?: EntryCounters): EntryStore {
  return new DiskEntries(files, new RecordCodec(keys, env.log, counters), env);
}

class DiskEntries implements EntryStore {
  readonly #files: LruDir;
  readonly #codec: RecordCodec;
  /** By partition and name of the file; what a file's name stands for never changes, but for its time. */
  readonly #known = new Map<string, Known>();
  readonly #kept: KeptEntries;

  /** What is left of lists, by what they are of and where their last page ended: so that a directory is read once for all pages. */
  readonly #lists = new Map<string, { readonly rest: readonly Named[]; readonly until: number }>();
  readonly #clock: Env['clock'];

  constructor(files: LruDir, codec: RecordCodec, { clock }: Pick<Env, 'clock'>) {
    this.#files = files;
    this.#codec = codec;
    this.#kept = new KeptEntries(files, codec);
    this.#clock = clock;
  }

  #read(at: EntryKey, isUse: boolean): Entry | undefined {
    const partition = partitionOf(at.owner);
    this.#files.catchUp(); // before anything is looked at: what is kept is as of now
    const kept = isUse ? this.#kept.find(partition, at) : undefined;
    if (kept !== undefined) return kept;
    const name = nameOf(at.kind, at.key);
    if (isUse && this.#files.use(partition, name) === undefined) return undefined;
    const file = this.#files.pathOf(partition, name);
    const record = readFile(file);
    if (record === undefined) return undefined;
    const found = this.#codec.read(record, at, file);
    if (found.kind === 'bad') this.#files.remove(partition, name);
    if (found.kind !== 'entry') return undefined;
    this.#remember(`${partition}/${name}`, found.entry);
    this.#kept.keep(partition, name, found);
    return found.entry;
  }

  #remember(place: string, { at: { kind, key }, writtenAt }: Entry): void {
    this.#known.delete(place);
    this.#known.set(place, { kind, key, writtenAt });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
  }

  /** What the files of an owner stand for; a file that cannot be read is left out. */
  #knownIn(partition: string, names: readonly string[]): readonly Known[] {
    return names.flatMap((name) => {
      const place = `${partition}/${name}`;
      const file = this.#files.pathOf(partition, name);
      const record = this.#known.has(place) ? undefined : readFile(file);
      const found = record === undefined ? undefined : this.#codec.open(record, file);
      if (found?.kind === 'entry') this.#remember(place, found.entry);
      const one = this.#known.get(place);
      return one === undefined ? [] : [one];
    });
  }

  /** As `knownIn` of all files of an owner; lets others have their turn. */
  async #knownOf(partition: string, signal: AbortSignal): Promise<readonly Known[]> {
    const all: Known[] = [];
    let names: string[] = [];
    for await (const name of this.#files.listAll(partition)) {
      names.push(name);
      if (names.length < TURN_FILES) continue;
      all.push(...this.#knownIn(partition, names));
      names = [];
      await nextTurn(undefined, { signal });
    }
    signal.throwIfAborted();
    return [...all, ...this.#knownIn(partition, names)];
  }

  /** The names of an owner that a list has after `after`: what is left of it from its last page, else as the directory says. */
  async #namesOf(owner: Owner, filter: EntryFilter, after: EntryKey | undefined, signal: AbortSignal): Promise<readonly Named[]> {
    const begun = after === undefined ? undefined : this.#lists.get(listName(owner, filter, after));
    if (begun !== undefined && this.#clock.monotonic() < begun.until) return begun.rest;
    const from = after === undefined ? undefined : entryText(after);
    return (await this.#knownOf(partitionOf(owner), signal))
      .filter(({ kind }) => filter.kind === undefined || filter.kind === kind)
      .map(({ kind, key }) => ({ text: entryText({ kind, owner, key }), kind, key }))
      .filter(({ text }) => from === undefined || compareText(text, from) > 0)
      .toSorted((a, b) => compareText(a.text, b.text));
  }

  #rememberList(name: string, rest: readonly Named[]): void {
    this.#lists.delete(name);
    this.#lists.set(name, { rest, until: this.#clock.monotonic() + LIST_MS });
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= LISTS_MAX) break;
      this.#lists.delete(oldest);
    }
  }

  async #write(entry: Entry, record: Uint8Array, ifAbsent: boolean): Promise<boolean> {
    const [partition, name] = [partitionOf(entry.at.owner), nameOf(entry.at.kind, entry.at.key)];
    const fill = (fd: number) => {
      try {
        for (let at = 0; at < record.byteLength;) at += fs.writeSync(fd, record, at);
      } catch (error) {
        throw ioFault(error, 'writing an entry');
      }
    };
    if (!ifAbsent) this.#files.replaced(name);
    const made = await this.#files.write(partition, name, record.byteLength, fill, { ifAbsent });
    if (!ifAbsent) this.#files.replaced(name);
    if (made) this.#remember(`${partition}/${name}`, entry);
    return made;
  }

  async get(kind: EntryKind, project: string, scopes: readonly string[], key: string, signal: AbortSignal): Promise<Entry | undefined> {
    signal.throwIfAborted();
    for (const scope of scopes) {
      const entry = this.#read({ kind, owner: { project, scope }, key }, true);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  async newest(
    kind: EntryKind,
    project: string,
    scopes: readonly string[],
    prefix: string,
    signal: AbortSignal,
  ): Promise<Entry | undefined> {
    signal.throwIfAborted();
    checkPrefix(kind);
    for (const scope of scopes) {
      const owner = { project, scope };
      const fits = this.#knownIn(partitionOf(owner), this.#files.list(partitionOf(owner), DEPENDENCY))
        .filter(({ key }) => key.startsWith(prefix))
        .toSorted((a, b) => b.writtenAt - a.writtenAt || compareText(b.key, a.key));
      for (const { key } of fits) {
        const entry = this.#read({ kind, owner, key }, true);
        if (entry !== undefined) return entry;
      }
    }
    return undefined;
  }

  async put(entry: Entry, { replace }: { readonly replace: boolean }, signal: AbortSignal): Promise<Put> {
    signal.throwIfAborted();
    const record = this.#codec.seal(entry);
    const kept = { kind: 'kept', entry } as const;
    if (replace) {
      await this.#write(entry, record, false);
      return kept;
    }
    // The first look is for what cannot be read, which is replaced: `ifAbsent` would stumble over it.
    const there = this.#read(entry.at, true);
    if (there !== undefined) return answerOf(there, entry);
    const place = this.#files.pathOf(partitionOf(entry.at.owner), nameOf(entry.at.kind, entry.at.key));
    if (await this.#write(entry, record, !fs.existsSync(place))) return kept;
    const first = this.#read(entry.at, true); // somebody was faster
    if (first !== undefined) return answerOf(first, entry);
    await this.#write(entry, record, false);
    return kept;
  }

  async list(
    project: string,
    filter: EntryFilter,
    after: EntryKey | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly Entry[]> {
    const scopes = this.#files
      .partitions()
      .map((partition) => ownerOf(partition))
      .filter((owner) => owner !== undefined && owner.project === project && (filter.scope ?? owner.scope) === owner.scope)
      .flatMap((owner) => owner?.scope ?? [])
      .toSorted(compareText);
    const found: Entry[] = [];
    for (const scope of scopes) {
      if (after !== undefined && compareText(scope, after.owner.scope) < 0) continue;
      const owner = { project, scope };
      const inOrder = await this.#namesOf(owner, filter, after, signal);
      for (const [place, { kind, key }] of inOrder.entries()) {
        const last = found.at(-1);
        if (last !== undefined && found.length >= limit) {
          if (last.at.owner.scope === scope) this.#rememberList(listName(owner, filter, last.at), inOrder.slice(place));
          return found;
        }
        const entry = this.#read({ kind, owner, key }, false);
        if (entry !== undefined && (filter.producer === undefined || isProducedBy(entry, filter.producer))) found.push(entry);
      }
    }
    return found;
  }

  async drop(at: EntryKey, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    checkKey(at);
    const [partition, name] = [partitionOf(at.owner), nameOf(at.kind, at.key)];
    const wasThere = fs.existsSync(this.#files.pathOf(partition, name));
    this.#files.remove(partition, name);
    this.#known.delete(`${partition}/${name}`);
    return wasThere;
  }

  async dropSeen(entry: Entry, signal: AbortSignal): Promise<boolean> {
    checkKey(entry.at);
    const there = this.#read(entry.at, false);
    // No turn passes in between; another process that shares the directory may just then write, and loses an entry of a cache.
    return there !== undefined && isSameWrite(there, entry) && this.drop(entry.at, signal);
  }

  async usage(signal: AbortSignal): Promise<readonly EntryUsage[]> {
    signal.throwIfAborted();
    await this.#files.scanned();
    return this.#files.partitions().flatMap((partition) => {
      const owner = ownerOf(partition);
      const { fileCount } = this.#files.usageOf(partition);
      return owner === undefined || fileCount === 0 ? [] : [{ owner, entryCount: fileCount }];
    });
  }
}

/** The file of an entry: begins with two characters that spread, but for dependency caches. */
export function nameOf(kind: EntryKind, key: string): string {
  const sum = hash('sha256', key, 'hex');
  return kind === 'dependency' ? `${DEPENDENCY}${sum}` : `${sum}.${kind}`;
}

function listName(owner: Owner, { kind, producer }: EntryFilter, after: EntryKey): string {
  return JSON.stringify([owner, kind, producer, entryText(after)]);
}

function answerOf(there: Entry, entry: Entry): Put {
  return { kind: sameValue(there, entry) ? 'same' : 'differs', entry: there };
}

function readFile(path: string): Buffer | undefined {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error instanceof Fault ? error : ioFault(error, path);
  }
}
