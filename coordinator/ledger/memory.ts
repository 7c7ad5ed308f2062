import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { LeaseToken } from '../core/ids.ts';
import { decodeEvent, decodeRow, encodeRecord, type RowChange } from './codec.ts';
import { Leadership } from './leadership.ts';
import { buildsOf, openHints } from './hints.ts';
import type { SharedLedger, StoredLog } from './ledger.ts';
import { MemoryRows } from './memory-rows.ts';
import { refuseAborted } from './refuse-aborted.ts';

export type MemoryLedgerOptions = {
  readonly clock?: Clock;
  /** Nonces and incarnations: 32 hex digits, never the same twice. */
  readonly nonce?: () => string;
};

/** A ledger in this process' memory, with what a simulation needs to damage it. */
export interface MemoryLedger extends SharedLedger {
  /**
   * Forgets the newest `count` commits, as a store that loses its unsynced tail does: the incarnation changes and no
   * term is current any more. Counters may then come again; nonces never do.
   */
  loseSuffix(count: number): void;
  /** Commits that were applied and not lost. */
  readonly commitCount: number;
}

/** For tests and the simulation: it lasts as long as the process. Rows go through the codec, as in the durable ledgers. */
export function openMemoryLedger(options: MemoryLedgerOptions = {}): MemoryLedger {
  const clock = options.clock ?? systemClock;
  const nonce = options.nonce ?? (() => randomBytes(16).toString('hex'));
  const leadership = new Leadership(0, nonce());
  const journal: (readonly RowChange[])[] = [];
  const hints = openHints();
  let rows = new MemoryRows();
  let storeName: string | undefined;
  const fenced = () => new Fault('LEDGER_FENCED', 'Another coordinator has taken the term');
  return {
    ...readsOf(() => rows),
    traits: { durability: 'none', shared: true, groupRecordsMax: 64 },
    async lead(holder, ttlMs, signal) {
      refuseAborted(signal);
      if (!leadership.isFree(holder, clock.monotonic())) return undefined;
      rows.dropOrphans();
      return leadership.take(holder, ttlMs, clock.monotonic(), nonce());
    },
    async renew(term, ttlMs, signal) {
      refuseAborted(signal);
      if (!leadership.renew(term, ttlMs, clock.monotonic())) throw fenced();
    },
    async resign(term) {
      leadership.resign(term);
      hints.give([]);
    },
    async commit(term, records, signal) {
      refuseAborted(signal);
      if (!leadership.isCurrent(term)) throw fenced();
      const changes = records.map(encodeRecord);
      journal.push(changes);
      rows.apply(changes);
      const builds = buildsOf(records);
      if (builds.length > 0) hints.give(builds);
    },
    async incarnation() {
      return leadership.incarnation;
    },
    async now(signal) {
      refuseAborted(signal);
      return clock.now();
    },
    async leader(signal) {
      refuseAborted(signal);
      return leadership.leader(clock.monotonic());
    },
    async claimStore(name, signal) {
      refuseAborted(signal);
      return (storeName ??= name);
    },
    hints: (signal) => hints.listen(signal),
    loseSuffix(count) {
      journal.length = Math.max(0, journal.length - count);
      rows = new MemoryRows();
      for (const changes of journal) rows.apply(changes);
      leadership.reincarnate(nonce());
    },
    get commitCount() {
      return journal.length;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** What is read of the rows as they are at the time. */
function readsOf(rows: () => MemoryRows): Pick<SharedLedger, 'load' | 'events' | 'log' | 'records'> {
  return {
    async *load(signal) {
      for (const batch of rows().batches()) {
        refuseAborted(signal);
        yield batch.map(decodeRow);
      }
    },
    async events(build, afterSeq, limit, signal) {
      refuseAborted(signal);
      return rows()
        .events(build, afterSeq, limit)
        .map(({ seq, body }) => decodeEvent(build, seq, body));
    },
    async log(token: LeaseToken, signal): Promise<StoredLog | undefined> {
      refuseAborted(signal);
      return rows().log(token);
    },
    async records(build, signal) {
      refuseAborted(signal);
      return rows().ofBuild(build).map(decodeRow);
    },
  };
}
