import { compareText, entryText, ownerText } from '../store-index/order.ts';
import { checkEntry, checkPrefix, isSameWrite, sameValue } from './check.ts';
import { isProducedBy, type Entry, type EntryStore } from './entry-store.ts';

/** Entries in this process' memory, unsigned; the least recently used are forgotten beyond `entriesMax`. For tests and simulation. */
export function memoryEntryStore({ entriesMax = 100_000 }: { readonly entriesMax?: number } = {}): EntryStore {
  /** By name, least recently used first. */
  const entries = new Map<string, Entry>();
  const use = (text: string): Entry | undefined => {
    const entry = entries.get(text);
    if (entry !== undefined) {
      entries.delete(text);
      entries.set(text, entry);
    }
    return entry;
  };
  return {
    async get(kind, project, scopes, key, signal) {
      signal.throwIfAborted();
      for (const scope of scopes) {
        const entry = use(entryText({ kind, owner: { project, scope }, key }));
        if (entry !== undefined) return entry;
      }
      return undefined;
    },
    async newest(kind, project, scopes, prefix, signal) {
      signal.throwIfAborted();
      checkPrefix(kind);
      for (const scope of scopes) {
        const begin = entryText({ kind, owner: { project, scope }, key: prefix });
        const [newest] = [...entries]
          .filter(([text]) => text.startsWith(begin))
          .toSorted(([left, a], [right, b]) => b.writtenAt - a.writtenAt || compareText(right, left));
        if (newest !== undefined) return use(newest[0]);
      }
      return undefined;
    },
    async put(entry, { replace }, signal) {
      signal.throwIfAborted();
      checkEntry(entry);
      const text = entryText(entry.at);
      const there = entries.get(text);
      if (there !== undefined && !replace) return { kind: sameValue(there, entry) ? 'same' : 'differs', entry: there };
      entries.delete(text);
      forgetOldest(entries, entriesMax - 1);
      const kept = { ...entry, value: Uint8Array.from(entry.value) };
      entries.set(text, kept);
      return { kind: 'kept', entry: kept };
    },
    async list(project, filter, after, limit, signal) {
      signal.throwIfAborted();
      const from = after === undefined ? undefined : entryText(after);
      return [...entries]
        .filter(([text, entry]) => fits(entry, project, filter) && (from === undefined || compareText(text, from) > 0))
        .toSorted(([left], [right]) => compareText(left, right))
        .slice(0, limit)
        .map(([, entry]) => entry);
    },
    async drop(at, signal) {
      signal.throwIfAborted();
      return entries.delete(entryText(at));
    },
    async dropSeen(entry, signal) {
      signal.throwIfAborted();
      const there = entries.get(entryText(entry.at));
      return there !== undefined && isSameWrite(there, entry) && entries.delete(entryText(entry.at));
    },
    async usage(signal) {
      signal.throwIfAborted();
      const owners = Map.groupBy(entries.values(), ({ at }) => ownerText(at.owner));
      return [...owners.values()].flatMap((all) => (all[0] === undefined ? [] : [{ owner: all[0].at.owner, entryCount: all.length }]));
    },
  };
}

function forgetOldest(entries: Map<string, Entry>, countMax: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= countMax) break;
    entries.delete(oldest);
  }
}

function fits(entry: Entry, project: string, { scope, kind, producer }: Parameters<EntryStore['list']>[1]): boolean {
  const { owner, kind: own } = entry.at;
  return (
    owner.project === project &&
    (scope ?? owner.scope) === owner.scope &&
    (kind ?? own) === own &&
    (producer === undefined || isProducedBy(entry, producer))
  );
}
