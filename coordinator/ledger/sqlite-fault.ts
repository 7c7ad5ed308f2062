import { Fault } from '../../base/fault.ts';

/** What SQLite's primary result codes mean for an operator. */
const MEANINGS: Readonly<Record<number, { readonly what: string; readonly hint: string }>> = {
  5: { what: 'is locked by another process', hint: 'Stop the other process, or give another path.' },
  6: { what: 'is locked by another process', hint: 'Stop the other process, or give another path.' },
  8: { what: 'is read-only', hint: 'Check the permissions of the file and its directory.' },
  10: { what: 'cannot be read or written (I/O error)', hint: 'Check the disk; the kernel log has the cause.' },
  11: { what: 'is damaged', hint: 'Restore it from a copy, or start with an empty one.' },
  13: { what: 'cannot grow: the disk is full', hint: 'Make room on the disk and start again.' },
  14: { what: 'cannot be opened', hint: 'Check that the directory exists and may be written.' },
  26: { what: 'is not a ledger', hint: 'Give the path of a ledger, or of a file that does not exist.' },
};

/** `error` as a fault: SQLite's errors by their result code, our own as they are. */
export function sqliteFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  if (!(error instanceof Error)) return new Fault('INTERNAL', `The ledger ${path} failed: ${String(error)}`);
  if (!('errcode' in error) || typeof error.errcode !== 'number') {
    return new Fault('INTERNAL', `The ledger ${path} failed: ${error.message}`, { cause: error });
  }
  const code = error.errcode;
  const meaning = MEANINGS[code & 0xff];
  const what = meaning?.what ?? `cannot be used (${error.message}, SQLite ${code})`;
  return new Fault('LEDGER_UNAVAILABLE', `The ledger ${path} ${what}`, {
    cause: error,
    ...(meaning === undefined ? {} : { hint: meaning.hint }),
  });
}

/** Whether `error` says that another connection holds the file. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5;
}
