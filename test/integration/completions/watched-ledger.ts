import { Fault } from '../../../base/fault.ts';
import type { LedgerRecord } from '../../../coordinator/core/record.ts';
import type { LogRecord, SharedLedger } from '../../../coordinator/ledger/ledger.ts';

/** One coordinator's link to a ledger that others share. */
export interface LedgerLink extends SharedLedger {
  /** While cut, nothing that this coordinator asks gets through. */
  cut(isCut: boolean): void;
}

/** `applied` sees what was committed, by whichever coordinator, once it is. */
export function linkTo(ledger: SharedLedger, applied: (records: readonly (LedgerRecord | LogRecord)[]) => void): LedgerLink {
  let away = false;
  const through = () => {
    if (away) throw new Fault('LEDGER_UNAVAILABLE', 'The link to the ledger is cut', { retryAfterMs: 50 });
  };
  return {
    traits: ledger.traits,
    async lead(holder, ttlMs, signal) {
      through();
      return ledger.lead(holder, ttlMs, signal);
    },
    async renew(term, ttlMs, signal) {
      through();
      return ledger.renew(term, ttlMs, signal);
    },
    async resign(term, signal) {
      through();
      return ledger.resign(term, signal);
    },
    async commit(term, records, signal) {
      through();
      await ledger.commit(term, records, signal);
      applied(records);
      through(); // applied, and the answer lost: what a coordinator finds hardest
    },
    async *load(signal) {
      through();
      yield* ledger.load(signal);
    },
    async events(build, afterSeq, limit, signal) {
      through();
      return ledger.events(build, afterSeq, limit, signal);
    },
    async log(token, signal) {
      through();
      return ledger.log(token, signal);
    },
    async incarnation(signal) {
      through();
      return ledger.incarnation(signal);
    },
    async now(signal) {
      through();
      return ledger.now(signal);
    },
    async leader(signal) {
      through();
      return ledger.leader(signal);
    },
    async records(build, signal) {
      through();
      return ledger.records(build, signal);
    },
    async claimStore(name, signal) {
      through();
      return ledger.claimStore(name, signal);
    },
    hints: (signal) => ledger.hints(signal),
    cut(isCut) {
      away = isCut;
    },
    async [Symbol.asyncDispose]() {},
  };
}
