import { Fault, wrap } from '../../base/fault.ts';
import type { LedgerRecord } from '../core/record.ts';
import { COMMIT_RECORDS_MAX, type Ledger, type LogRecord, type Term } from './ledger.ts';

export interface GroupCommit extends AsyncDisposable {
  /**
   * Makes the records durable after everything that was given before. Resolves when they, and all before them, are;
   * without records it resolves when all before are. Resolution keeps the order of the calls.
   * @throws {Fault} LEDGER_FENCED, LEDGER_UNAVAILABLE: then and from then on, because later records stand on earlier ones.
   * The caller steps down.
   */
  commit(records: readonly (LedgerRecord | LogRecord)[]): Promise<void>;
}

type Submission = {
  readonly records: readonly (LedgerRecord | LogRecord)[];
  /** How many of `records` have been handed to the ledger. */
  taken: number;
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
};

/**
 * One commit in flight; what arrives meanwhile goes into the next. A commit ends where a submission does, as long as the
 * submission fits into one: only those of more than `COMMIT_RECORDS_MAX` records are written in several, in order.
 * Disposing waits for what was given and takes nothing more.
 */
export function groupCommit(ledger: Ledger, term: Term): GroupCommit {
  const queue: Submission[] = [];
  /** Never aborted: a commit whose fate is unknown is worse than one that is waited for. */
  const signal = new AbortController().signal;
  let running: Promise<void> | undefined;
  let failure: Fault | undefined;

  const flush = async (): Promise<void> => {
    // In a turn of its own, so that what the same turn still brings goes along.
    await Promise.resolve();
    while (queue.length > 0 && failure === undefined) {
      const slice = takeSlice(queue);
      try {
        if (slice.length > 0) await ledger.commit(term, slice, signal);
      } catch (error) {
        failure = wrap(error, 'Committing to the ledger');
        break;
      }
      while (queue[0] !== undefined && queue[0].taken === queue[0].records.length) queue.shift()?.resolve();
    }
    if (failure !== undefined) for (const submission of queue.splice(0)) submission.reject(failure);
    running = undefined;
  };

  let closed = false;
  return {
    commit(records) {
      if (failure !== undefined) return Promise.reject(failure);
      if (closed) return Promise.reject(new Fault('DRAINING', 'The coordinator is stopping and commits nothing more'));
      if (records.length === 0 && queue.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => {
        queue.push({ records, taken: 0, resolve, reject });
        running ??= flush();
      });
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await running;
    },
  };
}

/** The records of the next commit. Marks them as taken; submissions stay queued until they are durable. */
function takeSlice(queue: readonly Submission[]): readonly (LedgerRecord | LogRecord)[] {
  const slice: (LedgerRecord | LogRecord)[] = [];
  for (const submission of queue) {
    const left = submission.records.length - submission.taken;
    const room = COMMIT_RECORDS_MAX - slice.length;
    if (left > room && slice.length > 0) break;
    const count = Math.min(left, room);
    for (let index = 0; index < count; index += 1) {
      const record = submission.records[submission.taken + index];
      if (record !== undefined) slice.push(record);
    }
    submission.taken += count;
    if (count < left) break;
  }
  return slice;
}
