import { Fault, wrap } from '../../base/fault.ts';
import type { LedgerRecord } from '../core/record.ts';
import type { Ledger, LogRecord, Term } from './ledger.ts';

export interface GroupCommit extends AsyncDisposable {
  /**
   * Makes the records durable after everything that was given before. Resolves when they, and all before them, are;
   * without records it resolves when all before are. Resolution keeps the order of the calls.
   * @throws {Fault} LEDGER_FENCED, LEDGER_UNAVAILABLE: then and from then on, because later records stand on earlier ones.
   * The caller steps down.
   */
  commit(records: readonly (LedgerRecord | LogRecord)[]): Promise<void>;
}

/** Stands around every call of the ledger's `commit` with that many records, to measure it. */
export type AroundCommit = (records: number, commit: () => Promise<void>) => Promise<void>;

const PLAINLY: AroundCommit = (_records, commit) => commit();

type Submission = {
  readonly records: readonly (LedgerRecord | LogRecord)[];
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
};

/**
 * One commit in flight; what arrives meanwhile goes into the next, up to the ledger's `groupRecordsMax` records. A submission is never
 * divided: a larger one is a commit of its own. Disposing waits for what was given and takes nothing more. Nothing is committed
 * once `holds`, asked before each commit, says that the term is over.
 */
export function groupCommit(ledger: Ledger, term: Term, holds: () => boolean = () => true, around: AroundCommit = PLAINLY): GroupCommit {
  const queue: Submission[] = [];
  /** Never aborted: a commit whose fate is unknown is worse than one that is waited for. */
  const signal = new AbortController().signal;
  let running: Promise<void> | undefined;
  let failure: Fault | undefined;

  const flush = async (): Promise<void> => {
    // In a turn of its own, so that what the same turn still brings goes along.
    await Promise.resolve();
    while (queue.length > 0 && failure === undefined) {
      const group = takeGroup(queue, ledger.traits.groupRecordsMax);
      const records = group.flatMap((submission) => submission.records);
      try {
        if (!holds()) throw new Fault('LEDGER_UNAVAILABLE', 'The term is over, so nothing more is committed under it');
        if (records.length > 0) await around(records.length, () => ledger.commit(term, records, signal));
      } catch (error) {
        failure = wrap(error, 'Committing to the ledger');
        for (const submission of group) submission.reject(failure);
        break;
      }
      for (const submission of group) submission.resolve();
    }
    if (failure !== undefined) for (const submission of queue.splice(0)) submission.reject(failure);
    running = undefined;
  };

  let closed = false;
  return {
    commit(records) {
      if (failure !== undefined) return Promise.reject(failure);
      if (closed) return Promise.reject(new Fault('DRAINING', 'The coordinator is stopping and commits nothing more'));
      if (records.length === 0 && running === undefined) return Promise.resolve();
      return new Promise((resolve, reject) => {
        queue.push({ records, resolve, reject });
        running ??= flush();
      });
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await running;
    },
  };
}

/** Takes the submissions of the next commit out of the queue. */
function takeGroup(queue: Submission[], recordsMax: number): readonly Submission[] {
  let count = 0;
  let size = 0;
  for (const { records } of queue) {
    if (count > 0 && size + records.length > recordsMax) break;
    size += records.length;
    count += 1;
  }
  return queue.splice(0, count);
}
