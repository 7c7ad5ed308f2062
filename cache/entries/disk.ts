import { hash } from 'node:crypto';
import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault } from '../../base/fault.ts';
import type { Env } from '../../base/env.ts';
import type { Keyring } from '../../base/signing.ts';
import { ioFault, type LruDir } from '../lru-dir.ts';
import { ownerOf, partitionOf } from '../owner.ts';
import { compareText, entryText } from '../store-index/order.ts';
import type { EntryKey, EntryKind } from '../store-index/store-index.ts';
import { checkKey, checkPrefix, sameValue } from './check.ts';
import { isProducedBy, type Entry, type EntryStore, type Put } from './entry-store.ts';
import { RecordCodec } from './reader.ts';

/** Keys of files that are remembered, over all owners: a file's name is the hash of its key. */
const REMEMBERED = 200_000;
/** What the files of dependency caches begin with: few to an owner, and looked through as a whole. */
const DEPENDENCY = 'd-';

/** Files read in one turn. */
const TURN_FILES = 64;

type Known = { readonly kind: EntryKind; readonly key: string; readonly writtenAt: number };

/**
 * Entries in a directory of files, a partition per owner and a file per entry. Several processes may share the directory. What is not
 * signed for its name is removed. Owners that use little lose nothing to others: see `LruDir`.
 */
export function diskEntryStore(files: LruDir, keys: Keyring, env: Env): EntryStore {
  const codec = new RecordCodec(keys, env.log);
  /** By partition and name of the file; what a file's name stands for never changes, but for its time. */
  const known = new Map<string, Known>();

  function read(at: EntryKey, isUse: boolean): Entry | undefined {
    const [partition, name] = [partitionOf(at.owner), nameOf(at.kind, at.key)];
    if (isUse && files.use(partition, name) === undefined) return undefined;
    const file = files.pathOf(partition, name);
    const record = readFile(file);
    if (record === undefined) return undefined;
    const found = codec.read(record, at, file);
    if (found.kind === 'bad') files.remove(partition, name);
    if (found.kind !== 'entry') return undefined;
    remember(`${partition}/${name}`, found.entry);
    return found.entry;
  }

  function remember(place: string, { at: { kind, key }, writtenAt }: Entry): void {
    known.delete(place);
    known.set(place, { kind, key, writtenAt });
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) break;
      known.delete(oldest);
    }
  }

  /** What the files of an owner stand for; a file that cannot be read is left out. */
  function knownIn(partition: string, names: readonly string[]): readonly Known[] {
    return names.flatMap((name) => {
      const place = `${partition}/${name}`;
      const file = files.pathOf(partition, name);
      const record = known.has(place) ? undefined : readFile(file);
      const found = record === undefined ? undefined : codec.open(record, file);
      if (found?.kind === 'entry') remember(place, found.entry);
      const one = known.get(place);
      return one === undefined ? [] : [one];
    });
  }

  /** As `knownIn` of all files of an owner; lets others have their turn. */
  async function knownOf(partition: string, signal: AbortSignal): Promise<readonly Known[]> {
    const all: Known[] = [];
    let names: string[] = [];
    for await (const name of files.listAll(partition)) {
      names.push(name);
      if (names.length < TURN_FILES) continue;
      all.push(...knownIn(partition, names));
      names = [];
      await nextTurn(undefined, { signal });
    }
    signal.throwIfAborted();
    return [...all, ...knownIn(partition, names)];
  }

  async function write(entry: Entry, record: Uint8Array, ifAbsent: boolean): Promise<boolean> {
    const [partition, name] = [partitionOf(entry.at.owner), nameOf(entry.at.kind, entry.at.key)];
    const fill = (fd: number) => {
      try {
        for (let at = 0; at < record.byteLength;) at += fs.writeSync(fd, record, at);
      } catch (error) {
        throw ioFault(error, 'writing an entry');
      }
    };
    const made = await files.write(partition, name, record.byteLength, fill, { ifAbsent });
    if (made) remember(`${partition}/${name}`, entry);
    return made;
  }

  return {
    async get(kind, project, scopes, key, signal) {
      signal.throwIfAborted();
      for (const scope of scopes) {
        const entry = read({ kind, owner: { project, scope }, key }, true);
        if (entry !== undefined) return entry;
      }
      return undefined;
    },

    async newest(kind, project, scopes, prefix, signal) {
      signal.throwIfAborted();
      checkPrefix(kind);
      for (const scope of scopes) {
        const owner = { project, scope };
        const fits = knownIn(partitionOf(owner), files.list(partitionOf(owner), DEPENDENCY))
          .filter(({ key }) => key.startsWith(prefix))
          .toSorted((a, b) => b.writtenAt - a.writtenAt || compareText(b.key, a.key));
        for (const { key } of fits) {
          const entry = read({ kind, owner, key }, true);
          if (entry !== undefined) return entry;
        }
      }
      return undefined;
    },

    async put(entry, { replace }, signal): Promise<Put> {
      signal.throwIfAborted();
      const record = codec.seal(entry);
      const kept = { kind: 'kept', entry } as const;
      if (replace) {
        await write(entry, record, false);
        return kept;
      }
      // The first look is for what cannot be read, which is replaced: `ifAbsent` would stumble over it.
      const there = read(entry.at, true);
      if (there !== undefined) return answerOf(there, entry);
      const place = files.pathOf(partitionOf(entry.at.owner), nameOf(entry.at.kind, entry.at.key));
      if (await write(entry, record, !fs.existsSync(place))) return kept;
      const first = read(entry.at, true); // somebody was faster
      if (first !== undefined) return answerOf(first, entry);
      await write(entry, record, false);
      return kept;
    },

    async list(project, filter, after, limit, signal) {
      const scopes = files
        .partitions()
        .map((partition) => ownerOf(partition))
        .filter((owner) => owner !== undefined && owner.project === project && (filter.scope ?? owner.scope) === owner.scope)
        .flatMap((owner) => owner?.scope ?? [])
        .toSorted(compareText);
      const found: Entry[] = [];
      const from = after === undefined ? undefined : entryText(after);
      for (const scope of scopes) {
        const owner = { project, scope };
        const inOrder = (await knownOf(partitionOf(owner), signal))
          .filter(({ kind }) => filter.kind === undefined || filter.kind === kind)
          .map(({ kind, key }) => ({ text: entryText({ kind, owner, key }), kind, key }))
          .filter(({ text }) => from === undefined || compareText(text, from) > 0)
          .toSorted((a, b) => compareText(a.text, b.text));
        for (const { kind, key } of inOrder) {
          if (found.length >= limit) return found;
          const entry = read({ kind, owner, key }, false);
          if (entry !== undefined && (filter.producer === undefined || isProducedBy(entry, filter.producer))) found.push(entry);
        }
      }
      return found;
    },

    async drop(at, signal) {
      signal.throwIfAborted();
      checkKey(at);
      const [partition, name] = [partitionOf(at.owner), nameOf(at.kind, at.key)];
      const wasThere = fs.existsSync(files.pathOf(partition, name));
      files.remove(partition, name);
      known.delete(`${partition}/${name}`);
      return wasThere;
    },

    async usage(signal) {
      signal.throwIfAborted();
      await files.scanned();
      return files.partitions().flatMap((partition) => {
        const owner = ownerOf(partition);
        const { fileCount } = files.usageOf(partition);
        return owner === undefined || fileCount === 0 ? [] : [{ owner, entryCount: fileCount }];
      });
    },
  };
}

/** The file of an entry: begins with two characters that spread, but for dependency caches. */
export function nameOf(kind: EntryKind, key: string): string {
  const sum = hash('sha256', key, 'hex');
  return kind === 'dependency' ? `${DEPENDENCY}${sum}` : `${sum}.${kind}`;
}

function answerOf(there: Entry, entry: Entry): Put {
  return { kind: sameValue(there, entry) ? 'same' : 'differs', entry: there };
}

function readFile(path: string): Buffer | undefined {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error instanceof Fault ? error : ioFault(error, path);
  }
}
