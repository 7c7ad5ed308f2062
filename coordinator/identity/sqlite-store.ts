import { existsSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { startThread, type Thread } from '../../base/thread.ts';
import type { IdentityTables } from './sqlite-tables.ts';
import type { IdentityStore } from './store.ts';

/**
 * A file of its own beside the ledger's, in a thread that the first change starts: a yard on one host, which has none, pays nothing for it.
 * Calls throw LEDGER_UNAVAILABLE where the file cannot be used.
 */
export function openSqliteIdentityStore(path: string): IdentityStore {
  const closed = (cause?: unknown) => new Fault('LEDGER_UNAVAILABLE', `The identity ledger ${path} is closed`, { cause });
  let thread: Promise<Thread<IdentityTables>> | undefined;
  let isClosed = false;
  const opened = (): Promise<Thread<IdentityTables>> => {
    if (isClosed) return Promise.reject(closed());
    if (thread !== undefined) return thread;
    const starting = startThread<IdentityTables>({ module: new URL('./sqlite-worker.ts', import.meta.url), data: { path }, closed });
    thread = starting;
    starting.catch(() => (thread = undefined)); // the next call tries again; this one throws
    return starting;
  };
  const isNew = () => thread === undefined && !existsSync(path);
  return {
    add: async (table, key, body) => (await opened()).call('add', table, key, body),
    put: async (table, key, body) => void (await (await opened()).call('put', table, key, body)),
    get: async (table, key) => (await opened()).call('get', table, key),
    remove: async (table, key) => (await opened()).call('remove', table, key),
    all: async (table) => (isNew() ? new Map() : new Map(await (await opened()).call('all', table))),
    version: async (table) => (isNew() ? 0 : (await opened()).call('version', table)),
    append: async (log, bodies, keep) => (await opened()).call('append', log, bodies, keep),
    newest: async (log, limit, before) => (await opened()).call('newest', log, limit, before),
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      const started = await thread?.catch(() => undefined);
      if (started === undefined) return;
      await started.call('close');
      await started.ended;
    },
  };
}
