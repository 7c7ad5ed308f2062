import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { startThread, type MethodOf, type Thread } from '../../../base/thread.ts';
import type { Digest } from '../../digest.ts';
import { refuseAborted } from '../refusals.ts';
import { slicesOf } from '../slices.ts';
import type { BlobPlace, StoreIndex } from '../store-index.ts';
import type { SqliteStore } from './store.ts';

export type SqliteStoreIndexOptions = {
  /** The file; its directory must exist. SQLite keeps a `-wal` and a `-shm` beside it. Not on a network file system. */
  readonly path: string;
  /** `clock.now` is the index's clock: all processes that have the file open are on one host. */
  readonly env: Env;
};

/** Blobs that are looked for, or added, in one transaction: some tens of milliseconds, in which no other process writes. */
const SLICE = 4_096;

/**
 * The index of one host: a SQLite file which several processes of the host may have open at once. A commit survives the end of
 * the process; loss of power may take the newest ones, and then the epoch changes and they are read from the store again. That is
 * why it does without waiting for the disk at each commit.
 * @throws {Fault} STORE_UNAVAILABLE where the file cannot be used; WRONG_STATE where a newer version wrote it.
 */
export async function openSqliteStoreIndex({ path, env }: SqliteStoreIndexOptions): Promise<StoreIndex> {
  const thread = await startThread<SqliteStore>({
    module: new URL('./worker.ts', import.meta.url),
    data: path,
    closed: (cause) => new Fault('STORE_UNAVAILABLE', `The index ${path} is closed`, { cause }),
  });
  const call = caller(thread, env);
  let closing: Promise<void> | undefined;
  return {
    traits: { shared: true },
    async now(signal) {
      refuseAborted(signal);
      return env.clock.now();
    },
    epoch: (signal) => call('epoch', signal),
    open: (epoch, signal) => call('open', signal, epoch),
    complete: (epoch, signal) => call('complete', signal, epoch),
    async addPack(pack, hold, signal) {
      // A slice that others overtake is refused where the pack is gone meanwhile; what was added stays findable, and is true.
      for (const rows of slicesOf(pack.rows, SLICE)) await call('addPack', signal, { ...pack, rows }, hold);
    },
    async locate(project, scopes, digests, hold, signal) {
      const found = new Map<Digest, BlobPlace>();
      for (const slice of slicesOf(digests, SLICE)) {
        for (const [digest, place] of await call('locate', signal, project, scopes, slice, hold)) found.set(digest, place);
      }
      return found;
    },
    async forget(owner, rows, signal) {
      for (const slice of slicesOf(rows, SLICE)) await call('forget', signal, owner, slice);
    },
    extend: (hold, signal) => call('extend', signal, hold),
    release: (hold, signal) => call('release', signal, hold),
    prepare: (entry, hold, signal) => call('prepare', signal, entry, hold),
    publish: (entry, signal) => call('publish', signal, entry),
    dropEntry: (entry, signal) => call('dropEntry', signal, entry),
    entry: (kind, project, scopes, key, signal) => call('entry', signal, kind, project, scopes, key),
    newestEntry: (kind, project, scopes, prefix, signal) => call('newestEntry', signal, kind, project, scopes, prefix),
    entries: (filter, after, limit, signal) => call('entries', signal, filter, after, limit),
    knownObjects: (objects, signal) => call('knownObjects', signal, objects),
    usage: (signal) => call('usage', signal),
    packs: (filter, after, limit, signal) => call('packs', signal, filter, after, limit),
    condemn: (pack, epoch, unusedSince, signal) => call('condemn', signal, pack, epoch, unusedSince),
    condemnRecorded: (pack, epoch, signal) => call('condemnRecorded', signal, pack, epoch),
    mayDelete: (pack, epoch, graceMs, signal) => call('mayDelete', signal, pack, epoch, graceMs),
    deleted: (pack, signal) => call('deleted', signal, pack),
    dropPack: (pack, signal) => call('dropPack', signal, pack),
    sweep: (signal) => call('sweep', signal),
    claim: (task, holder, ttlMs, signal) => call('claim', signal, task, holder, ttlMs),
    replayCondemned: (packs, epoch, signal) => call('replayCondemned', signal, packs, epoch),
    restoreEntry: (entry, epoch, signal) => call('restoreEntry', signal, entry, epoch),
    async [Symbol.asyncDispose]() {
      closing ??= (async () => {
        try {
          await thread.call('close', 0);
        } catch (error) {
          // Nothing is lost: the next opening recovers what the write-ahead log has.
          env.log.warn('store-index-close-failed', { error });
        }
        await thread.ended;
      })();
      await closing;
    },
  };
}

type Rest<M extends MethodOf<SqliteStore>> = Parameters<SqliteStore[M]> extends [number, ...infer Args] ? Args : never;

/** Calls the thread with the time of now, unless the caller has given up. */
function caller(thread: Thread<SqliteStore>, env: Env) {
  return async <M extends MethodOf<SqliteStore>>(method: M, signal: AbortSignal, ...args: Rest<M>): Promise<ReturnType<SqliteStore[M]>> => {
    refuseAborted(signal);
    const all = [env.clock.now(), ...args] as unknown as Parameters<SqliteStore[M]>; // `Rest` is what follows the time
    return await thread.call(method, ...all);
  };
}
