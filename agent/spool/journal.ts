import { appendFileSync, closeSync, fdatasync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../base/thrown.ts';
import type { AttemptReport } from '../../cache/action/result.ts';

/** One line of the journal, in the order of a lease's life. */
export type JournalEntry =
  | { readonly kind: 'lease'; readonly token: string; readonly build: string; readonly step: string; readonly attempt: number }
  | { readonly kind: 'result'; readonly token: string; readonly report: AttemptReport }
  | { readonly kind: 'forgotten'; readonly token: string };

/** What the journal knows of a token that was not forgotten. */
export type JournalState = {
  readonly lease: Extract<JournalEntry, { kind: 'lease' }> | undefined;
  readonly report: AttemptReport | undefined;
};

/** Most results are answered sooner, and are never flushed. */
const FLUSH_AFTER_MS = 50;

/** Rewritten once it is this long and most of it is of no use any more. */
const COMPACT_BYTES = 256 * 1024;

/**
 * The durable part of the spool: JSON lines, appended with one write each, rewritten by rename. It survives a kill -9 of
 * the agent at any moment: a torn last line is ignored. Results that nobody has answered go to the disk itself a moment later,
 * many with one flush, and nobody waits for it: where power is lost in that moment, and for the coordinator too, a step runs
 * once more.
 */
export interface Journal extends Disposable {
  /** What is not forgotten, by token, oldest first. */
  readonly live: ReadonlyMap<string, JournalState>;
  /** Returns once the entry is with the operating system. @throws {Error} the file system's, such as ENOSPC. */
  append(entry: JournalEntry): void;
}

/** Opens the journal in `dir`, which is there. */
export function openJournal(dir: string): Journal {
  const path = join(dir, 'journal.jsonl');
  const live = new Map<string, JournalState>();
  for (const line of linesOf(path)) apply(live, line);
  rewrite(path, live);
  let fd = openSync(path, 'a');
  let bytes = 0;
  let closed = false;
  let flushing: NodeJS.Timeout | undefined;
  const flush = coalesced((done) => (closed ? done() : fdatasync(fd, done)));
  const flushSoon = () => {
    flushing ??= setTimeout(() => {
      flushing = undefined;
      if ([...live.values()].some(({ report }) => report !== undefined)) flush();
    }, FLUSH_AFTER_MS).unref();
  };
  return {
    live,
    append(entry) {
      const line = `${JSON.stringify(entry)}\n`;
      apply(live, entry);
      appendFileSync(fd, line);
      bytes += line.length;
      if (entry.kind === 'result') flushSoon();
      if (bytes < COMPACT_BYTES) return;
      rewrite(path, live);
      closeSync(fd);
      fd = openSync(path, 'a');
      bytes = 0;
    },
    [Symbol.dispose]() {
      closed = true;
      clearTimeout(flushing);
      closeSync(fd);
    },
  };
}

/** Runs `act` once at a time, and once more where it was called meanwhile. What it fails with is of no use to anybody. */
function coalesced(act: (done: () => void) => void): () => void {
  let busy = false;
  let owed = false;
  const run = () => {
    owed = busy;
    if (busy) return;
    busy = true;
    act(() => {
      busy = false;
      if (owed) run();
    });
  };
  return run;
}

function apply(live: Map<string, JournalState>, entry: JournalEntry): void {
  const before = live.get(entry.token);
  if (entry.kind === 'lease') live.set(entry.token, { lease: entry, report: before?.report });
  else if (entry.kind === 'result') live.set(entry.token, { lease: before?.lease, report: entry.report });
  else live.delete(entry.token);
}

/** The entries that can be read; a line that was cut short by a crash, or damaged since, is left out. */
function linesOf(path: string): readonly JournalEntry[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').flatMap((line) => {
    const entry = parsed(line);
    return entry === undefined ? [] : [entry];
  });
}

function parsed(line: string): JournalEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const known = typeof value === 'object' && value !== null && 'kind' in value && 'token' in value && typeof value.token === 'string';
    return known ? (value as JournalEntry) : undefined; // written by `append` of this file; a torn line does not parse
  } catch {
    return undefined;
  }
}

function rewrite(path: string, live: ReadonlyMap<string, JournalState>): void {
  const entries = [...live].flatMap(([token, { lease, report }]): JournalEntry[] => [
    ...(lease === undefined ? [] : [lease]),
    ...(report === undefined ? [] : [{ kind: 'result' as const, token, report }]),
  ]);
  const next = `${path}.next`;
  const fd = openSync(next, 'w');
  try {
    writeFileSync(fd, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    fsyncSync(fd); // a rename that is on the disk before the bytes are would leave an empty journal
  } finally {
    closeSync(fd);
  }
  renameSync(next, path);
}
