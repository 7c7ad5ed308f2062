import type { TimeMs } from '../../base/clock.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../core/record.ts';
import type { Digest } from '../../cache/digest.ts';

/**
 * A coordinator's leadership. Compared for equality of all three parts, never by order: a counter that rolled back cannot
 * pass for a later one.
 */
export type Term = {
  readonly counter: number;
  /** 128 random bits as 32 hex digits; part of every lease token of the term. */
  readonly nonce: string;
  /** Changes whenever the ledger may have lost commits (restored, failed over, started empty). */
  readonly incarnation: string;
};

/** A coordinator that leads or would. */
export type Leader = {
  /** New for each start of the process. */
  readonly id: string;
  /** Where callers, agents and other coordinators reach it, host:port. */
  readonly address: string;
};

export type LedgerTraits = {
  /**
   * What a returned commit survives: nothing, the end of the coordinator's process, or the loss of power of one machine. On
   * Redis, `process` is what Redis has in its memory, and `power` what is on its disk or on its replicas.
   */
  readonly durability: 'none' | 'process' | 'power';
  /** Whether coordinators in other processes see it. */
  readonly shared: boolean;
  /**
   * Up to how many records small commits are put together: enough to share the cost of durability, few enough that nobody
   * waits long for the ledger.
   */
  readonly groupRecordsMax: number;
};

/**
 * The hot tail of an attempt's log, kept where every coordinator can read it. `bytes` of a chunk start at `offset` of the
 * log; chunks of a token have no gaps. A segment stands for bytes that moved to the blob store.
 */
export type LogRecord =
  | { readonly kind: 'log-chunk'; readonly build: BuildId; readonly token: LeaseToken; readonly offset: number; readonly bytes: Uint8Array }
  /** Replaces the chunks below `offset + size` that it covers. */
  | { readonly kind: 'log-segment'; readonly build: BuildId; readonly token: LeaseToken; readonly offset: number; readonly digest: Digest }
  /** The whole log is one blob now: chunks and segments go. */
  | {
      readonly kind: 'log-sealed';
      readonly build: BuildId;
      readonly token: LeaseToken;
      readonly digest: Digest;
      readonly truncated: boolean;
    }
  | { readonly kind: 'log-forgotten'; readonly build: BuildId; readonly token: LeaseToken };

/** What is kept of one log. */
export type StoredLog = {
  readonly segments: readonly { readonly offset: number; readonly digest: Digest }[];
  readonly chunks: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  readonly sealed: { readonly digest: Digest; readonly truncated: boolean } | undefined;
};

/**
 * The durable record of builds, steps, leases, sessions and log tails. It stores and fences; it decides nothing.
 * Every implementation passes `test/contract/ledger.ts`.
 */
export interface Ledger extends AsyncDisposable {
  readonly traits: LedgerTraits;

  /** Takes the leadership for `ttlMs` if nobody else holds it; undefined where somebody does. */
  lead(holder: Leader, ttlMs: number, signal: AbortSignal): Promise<Term | undefined>;

  /** Extends the leadership to `ttlMs` from now. @throws {Fault} LEDGER_FENCED, LEDGER_UNAVAILABLE */
  renew(term: Term, ttlMs: number, signal: AbortSignal): Promise<void>;

  /** Gives the leadership back; nothing happens where the term is not current. */
  resign(term: Term, signal: AbortSignal): Promise<void>;

  /**
   * Makes the records durable, all or none, in order, under the term. What one event decided is one commit, however large:
   * a core that is restored from half of it would be in no state that it was ever in. Callers put small ones together up to
   * `traits.groupRecordsMax`. Returns when they are as durable as `traits` say.
   * @throws {Fault} LEDGER_FENCED where the term is not current (nothing was written); LEDGER_UNAVAILABLE where it is
   * unknown whether they were written: the caller must step down or find out by `load`.
   */
  commit(term: Term, records: readonly (LedgerRecord | LogRecord)[], signal: AbortSignal): Promise<void>;

  /**
   * The newest record of each key, builds before their steps, in batches; events and logs are read on their own. For a
   * leader that has not committed yet. What belongs to no build record is left out; the next `lead` drops it.
   */
  load(signal: AbortSignal): AsyncIterable<readonly LedgerRecord[]>;

  /** A build's events after `afterSeq`, oldest first, at most `limit`. */
  events(build: BuildId, afterSeq: number, limit: number, signal: AbortSignal): Promise<readonly BuildEvent[]>;

  /** A log as it is kept; undefined where nothing of it is. */
  log(token: LeaseToken, signal: AbortSignal): Promise<StoredLog | undefined>;

  /** The incarnation as it is now, part of every cursor. */
  incarnation(signal: AbortSignal): Promise<string>;

  /**
   * The ledger's own wall clock. All times in the records are by it, so that coordinators agree on them whatever their hosts'
   * clocks say. It may be set, as any wall clock; the answer is as old as its way back.
   */
  now(signal: AbortSignal): Promise<TimeMs>;
}

/** A ledger that several coordinators use at once: one leads, the others follow it. */
export interface SharedLedger extends Ledger {
  /** Who leads at the moment; undefined where nobody does, or where its time is over. */
  leader(signal: AbortSignal): Promise<Leader | undefined>;

  /** The newest record of each key of one build, the build's own first; empty where it is not there. */
  records(build: BuildId, signal: AbortSignal): Promise<readonly LedgerRecord[]>;

  /**
   * Names the blob store that the ledger's builds are kept in: the first name given is kept for ever, and it is what is
   * returned. Whoever gets another name than its own uses another store than the rest.
   */
  claimStore(name: string, signal: AbortSignal): Promise<string>;

  /**
   * Hints: builds that may have new events or log bytes; nobody named means that the leadership may have changed. Hints may
   * be lost or come for nothing, so a listener looks for itself now and then. Ends with the signal.
   */
  hints(signal: AbortSignal): AsyncIterable<readonly BuildId[]>;
}
