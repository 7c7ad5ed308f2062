import { Fault } from './fault.ts';
import type { SqliteKind, SqliteMeaning } from './sqlite-file.ts';
import { reasonOf } from './thrown.ts';

/** SQLite's primary result code for a file that another connection holds. */
const BUSY = 5;

/** What is the same for every kind, by primary result code. */
const MEANINGS: Readonly<Record<number, SqliteMeaning>> = {
  8: { what: 'is read-only', hint: 'Check the permissions of the file and its directory.' },
  10: { what: 'cannot be read or written (I/O error)', hint: 'Check the disk; the kernel log has the cause.' },
  14: { what: 'cannot be opened', hint: 'Check that the directory exists and may be written.' },
};

/** `error` as a fault: SQLite's errors by their result code, our own as they are. */
export function sqliteFault(error: unknown, { noun, code, meanings }: SqliteKind, path: string): Fault {
  if (error instanceof Fault) return error;
  const text = reasonOf(error);
  const errcode = errcodeOf(error);
  if (errcode === undefined) return new Fault('INTERNAL', `The ${noun} ${path} failed: ${text}`, { cause: error });
  const primary = errcode & 0xff;
  const meaning = meanings[primary] ?? MEANINGS[primary];
  const what = meaning?.what ?? `cannot be used (${text}, SQLite ${errcode})`;
  const hint = meaning === undefined ? {} : { hint: meaning.hint };
  return new Fault(code, `The ${noun} ${path} ${what}`, { ...hint, cause: error });
}

/** Whether `error` says that another connection holds the file. */
export function isBusy(error: unknown): boolean {
  return ((errcodeOf(error) ?? 0) & 0xff) === BUSY;
}

/** SQLite's extended result code, where `error` has one. */
function errcodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
}
