import { NO_PROVENANCE, type Entry, type EntryStore } from '../entries/entry-store.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import { mayReplace, type ActionCache, type ActionEntry, type ActionKey } from './action-cache.ts';

/**
 * The action cache as a view of the entries of that kind. Where those are complete or not there, so are its own: a client's result may
 * then take the place of an executor's that is not complete any more. Puts of one name take turns in this process; of two processes
 * that write a name at the same time the later one wins, and a client's result that won so is one that no step of ours reads.
 * @param seen the same entries as callers see them, where somebody counts that
 */
export function entryActionCache(entries: EntryStore, seen: EntryStore = entries): ActionCache {
  const turns = new Map<string, Promise<unknown>>();
  const inTurn = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const before = turns.get(name) ?? Promise.resolve();
    const own = before.then(run, run);
    turns.set(name, own);
    try {
      return await own;
    } finally {
      if (turns.get(name) === own) turns.delete(name);
    }
  };
  const getFrom = async (
    store: EntryStore,
    { project, scope, action }: ActionKey,
    signal: AbortSignal,
  ): Promise<ActionEntry | undefined> => {
    const entry = await store.get('action', project, [scope], action, signal);
    return entry === undefined ? undefined : actionEntryOf(entry);
  };
  return {
    get: (key, signal) => getFrom(seen, key, signal),
    put: async (key, entry, signal) =>
      inTurn(JSON.stringify(key), async () => {
        const there = await getFrom(entries, key, signal);
        if (there !== undefined && !mayReplace(there, entry)) return there;
        const put = await seen.put(entryOf(key, entry), { replace: true }, signal);
        return actionEntryOf(put.entry);
      }),
  };
}

/** The name of an action's result among all entries. */
export function actionName({ project, scope, action }: ActionKey): EntryKey {
  return { kind: 'action', owner: { project, scope }, key: action };
}

function entryOf(key: ActionKey, { result, writer, writtenAt }: ActionEntry): Entry {
  const provenance = { ...NO_PROVENANCE, caller: writer.name, writer: writer.kind };
  return { at: actionName(key), value: result, parts: [], provenance, writtenAt };
}

function actionEntryOf({ value, provenance, writtenAt }: Entry): ActionEntry {
  return { result: value, writer: { kind: provenance.writer, name: provenance.caller }, writtenAt };
}
