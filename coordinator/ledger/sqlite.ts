import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { startThread, type Thread } from '../../base/thread.ts';
import type { LedgerRecord } from '../core/record.ts';
import { decodeEvent, decodeRow, encodeRecord, newestOf, ownerOf, ROW_CLASSES } from './codec.ts';
import type { Ledger, Term } from './ledger.ts';
import { refuseAborted } from './refuse-aborted.ts';
import type { SqliteStore, SqliteStoreOptions } from './sqlite-store.ts';

export type SqliteLedgerOptions = {
  /** The file; its directory must exist. SQLite keeps a `-wal` beside it, and `.holder` names the process that has it open. */
  readonly path: string;
  /**
   * FULL: a commit survives the loss of power. NORMAL: it survives the end of the process, however that comes; with the
   * power, the newest commits may go, and then the incarnation changes.
   */
  readonly synchronous: 'FULL' | 'NORMAL';
  readonly env: Env;
};

const PAGE_ROWS = 256;
/** A commit waits for the disk once, however many records it has; so many take a few milliseconds besides. */
const GROUP_RECORDS = 1_024;
/** Records that are encoded and handed over in one go: a few milliseconds of the caller's thread. */
const STAGE_RECORDS = 1_024;

/**
 * The ledger of one machine: a SQLite file that one process holds at a time. A process that was killed holds nothing, so
 * its successor leads at once. The file is worked on in a thread of its own: waiting for the disk holds up nobody.
 * @throws {Fault} LEDGER_UNAVAILABLE where another process has it (named) or it cannot be used; WRONG_STATE where a newer
 * version wrote it.
 */
export async function openSqliteLedger({ path, synchronous, env }: SqliteLedgerOptions): Promise<Ledger> {
  const store = await startThread<SqliteStore>({
    module: new URL('./sqlite-worker.ts', import.meta.url),
    data: { path, synchronous } satisfies SqliteStoreOptions,
    closed: (cause) => new Fault('LEDGER_UNAVAILABLE', `The ledger ${path} is closed`, { cause }),
  });
  const fenced = () => new Fault('LEDGER_FENCED', `Another coordinator has taken the term of ${path}`);
  let commits = 0;
  let closing: Promise<void> | undefined;
  return {
    traits: { durability: synchronous === 'FULL' ? 'power' : 'process', shared: false, groupRecordsMax: GROUP_RECORDS },
    async lead(holder, ttlMs, signal) {
      refuseAborted(signal);
      return await store.call('lead', holder, ttlMs, env.clock.monotonic());
    },
    async renew(term, ttlMs, signal) {
      refuseAborted(signal);
      if (!(await store.call('renew', term, ttlMs, env.clock.monotonic()))) throw fenced();
    },
    async resign(term) {
      await store.call('resign', term);
    },
    async commit(term, records, signal) {
      refuseAborted(signal);
      commits += 1;
      if (!(await commitRows(store, commits, term, newestOf(records)))) throw fenced();
    },
    load: (signal) => loadRows(store, signal),
    async events(build, afterSeq, limit, signal) {
      refuseAborted(signal);
      return (await store.call('events', build, afterSeq, limit)).map(({ seq, body }) => decodeEvent(build, seq, body));
    },
    async log(token, signal) {
      refuseAborted(signal);
      return await store.call('log', token);
    },
    async incarnation(signal) {
      refuseAborted(signal);
      return await store.call('incarnation');
    },
    async now(signal) {
      refuseAborted(signal);
      return env.clock.now(); // the file and whoever uses it are on one machine
    },
    async [Symbol.asyncDispose]() {
      closing ??= (async () => {
        try {
          await store.call('close');
        } catch (error) {
          // Nothing is lost: what was committed is durable, and the next opening recovers the rest.
          env.log.warn('ledger-close-failed', { error });
        }
        await store.ended;
      })();
      await closing;
    },
  };
}

/** Whether the term was current; what is too much for one message goes ahead in pieces. */
async function commitRows(store: Thread<SqliteStore>, id: number, term: Term, records: Parameters<Ledger['commit']>[1]): Promise<boolean> {
  let from = 0;
  for (; records.length - from > STAGE_RECORDS; from += STAGE_RECORDS) {
    await store.call('stage', id, records.slice(from, from + STAGE_RECORDS).map(encodeRecord));
  }
  return await store.call('commit', term, records.slice(from).map(encodeRecord), id);
}

async function* loadRows(store: Thread<SqliteStore>, signal: AbortSignal): AsyncIterable<readonly LedgerRecord[]> {
  const builds = new Set<string>();
  for (const rowClass of ROW_CLASSES) {
    for (let after = ''; ;) {
      refuseAborted(signal);
      const page = await store.call('page', rowClass, after, PAGE_ROWS);
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.key;
      if (rowClass === 'build') for (const row of page) builds.add(row.key);
      const owned = page.filter((row) => {
        const owner = ownerOf(rowClass, row.key);
        return owner === undefined || builds.has(owner);
      });
      if (owned.length > 0) yield owned.map(decodeRow);
    }
  }
}
