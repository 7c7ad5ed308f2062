import { Fault } from '../../../base/fault.ts';

/** What SQLite's primary result codes mean for an operator. */
const MEANINGS: Readonly<Record<number, { readonly what: string; readonly hint: string }>> = {
  5: { what: 'is being written by another process for too long', hint: 'Look for a process that holds it: a backup, or a copy under way.' },
  6: { what: 'is being written by another process for too long', hint: 'Look for a process that holds it: a backup, or a copy under way.' },
  8: { what: 'is read-only', hint: 'Check the permissions of the file and its directory.' },
  10: { what: 'cannot be read or written (I/O error)', hint: 'Check the disk; the kernel log has the cause.' },
  11: { what: 'is damaged', hint: 'Stop, remove the file and start again: it is made anew from the store.' },
  13: { what: 'cannot grow: the disk is full', hint: 'Make room on the disk.' },
  14: { what: 'cannot be opened', hint: 'Check that the directory exists and may be written.' },
  26: { what: 'is no index', hint: 'Give the path of an index, or of a file that does not exist.' },
};

/** `error` as a fault: SQLite's errors by their result code, our own as they are. */
export function sqliteFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  if (!(error instanceof Error)) return new Fault('INTERNAL', `The index ${path} failed: ${String(error)}`);
  if (!('errcode' in error) || typeof error.errcode !== 'number') {
    return new Fault('INTERNAL', `The index ${path} failed: ${error.message}`, { cause: error });
  }
  const meaning = MEANINGS[error.errcode & 0xff];
  const what = meaning?.what ?? `cannot be used (${error.message}, SQLite ${error.errcode})`;
  return new Fault('STORE_UNAVAILABLE', `The index ${path} ${what}`, {
    cause: error,
    ...(meaning === undefined ? {} : { hint: meaning.hint }),
  });
}
