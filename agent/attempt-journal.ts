import { appendFileSync, closeSync, fstatSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import { codeOf } from '../base/thrown.ts';

/** What can be said of an attempt, or of the agent itself; docs/protocol.md has a sentence on each. */
export type JournalEvent =
  | { readonly event: 'boot'; readonly agent: string; readonly pid: number }
  | { readonly event: 'registered'; readonly coordinator: string; readonly epoch: number }
  | {
      readonly event: 'accepted';
      readonly token: string;
      readonly build: string;
      readonly step: string;
      readonly attempt: number;
      readonly sideEffects: boolean;
    }
  | { readonly event: 'started' | 'exited' | 'kept' | 'forgotten'; readonly token: string }
  | { readonly event: 'finished'; readonly token: string; readonly as: string; readonly log: string | undefined }
  | { readonly event: 'stopped'; readonly token: string; readonly because: string }
  | { readonly event: 'answered'; readonly token: string; readonly verdict: string }
  | { readonly event: 'lost-in-crash'; readonly token: string; readonly build: string; readonly step: string; readonly attempt: number };

/**
 * What an agent did, in its own words, for whoever wants to check it against the coordinator's: one JSON line an event, in
 * order, with the boot id and the time. Nothing is read back from it, and nothing depends on it.
 */
export interface AttemptJournal extends Disposable {
  /** One small write into the page cache. Never throws: a disk that takes nothing costs the line. */
  note(event: JournalEvent): void;
}

/** A file is put aside at this size. */
const FILE_BYTES = 16 * 1024 * 1024;
/** Files that were put aside and are kept: `journal.1.jsonl` is the newest. */
const OLD_FILES = 3;

/** Appends to `journal.jsonl` in `dir`, which is there. `fileBytes` is the size at which a file is put aside. */
export function openAttemptJournal(
  dir: string,
  identity: { readonly agent: string; readonly bootId: string },
  env: Env,
  fileBytes = FILE_BYTES,
): AttemptJournal {
  const path = (age: number) => join(dir, age === 0 ? 'journal.jsonl' : `journal.${age}.jsonl`);
  let file: { readonly fd: number; bytes: number } | undefined;
  /** The last write left part of a line. */
  let torn = true;
  let failing = false;
  const close = () => {
    if (file !== undefined) closeSync(file.fd);
    file = undefined;
  };
  const open = () => {
    const fd = openSync(path(0), 'a', 0o600);
    file = { fd, bytes: fstatSync(fd).size };
    return file;
  };
  const putAside = () => {
    close();
    for (let age = OLD_FILES - 1; age >= 0; age -= 1) {
      try {
        renameSync(path(age), path(age + 1));
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error;
      }
    }
    return open();
  };
  const journal: AttemptJournal = {
    note(event) {
      const stamp = { atMs: env.clock.now(), monotonicMs: Math.round(env.clock.monotonic()), boot: identity.bootId };
      const text = `${JSON.stringify({ ...stamp, ...event })}\n`;
      try {
        let to = file ?? open();
        if (to.bytes >= fileBytes) to = putAside();
        const whole = torn && to.bytes > 0 ? `\n${text}` : text;
        torn = true;
        appendFileSync(to.fd, whole);
        torn = false;
        to.bytes += Buffer.byteLength(whole);
        failing = false;
      } catch (error) {
        if (!failing) env.log.warn('journal-not-written', { error });
        failing = true;
      }
    },
    [Symbol.dispose]: close,
  };
  journal.note({ event: 'boot', agent: identity.agent, pid: process.pid });
  return journal;
}
