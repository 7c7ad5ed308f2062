import { mayReplace, type ActionCache, type ActionEntry, type ActionKey } from './action-cache.ts';

/** Entries in this process' memory; the least recently used are forgotten beyond `entriesMax`. */
export function memoryActionCache(options: { readonly entriesMax?: number } = {}): ActionCache {
  const entriesMax = options.entriesMax ?? 100_000;
  /** Least recently used first. */
  const entries = new Map<string, ActionEntry>();
  const nameOf = ({ project, scope, action }: ActionKey) => JSON.stringify([project, scope, action]);
  return {
    async get(key, signal) {
      signal.throwIfAborted();
      const name = nameOf(key);
      const entry = entries.get(name);
      if (entry !== undefined) {
        entries.delete(name);
        entries.set(name, entry);
      }
      return entry;
    },
    async put(key, entry, signal) {
      signal.throwIfAborted();
      const name = nameOf(key);
      const there = entries.get(name);
      if (there !== undefined && !mayReplace(there, entry)) return there;
      entries.delete(name);
      for (const oldest of entries.keys()) {
        if (entries.size < entriesMax) break;
        entries.delete(oldest);
      }
      const kept = { ...entry, result: Uint8Array.from(entry.result) };
      entries.set(name, kept);
      return kept;
    },
  };
}
