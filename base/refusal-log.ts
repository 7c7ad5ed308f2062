import type { AuditSink } from './audit.ts';
import type { Env } from './env.ts';
import { GATHER_MS, notesOfMoment, REFUSALS_MAX } from './gather-notes.ts';

/** Writes what is refused to the log of the process, bounded: for processes that have no ledger. What was done it does not write. */
export function openRefusalLog(env: Env): AuditSink & Disposable {
  const notes = notesOfMoment(REFUSALS_MAX, 'refused', env.clock);
  let timer: NodeJS.Timeout | undefined;
  const write = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const { note, count } of notes.take()) {
      const { actor, subject, detail, peer } = note;
      env.log.warn('call-refused', { actor, subject, detail, peer, count });
    }
  };
  return {
    note(note) {
      if (note.outcome !== 'refused') return;
      notes.add(note);
      timer ??= setTimeout(write, GATHER_MS).unref();
    },
    [Symbol.dispose]: write,
  };
}
