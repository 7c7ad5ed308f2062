import type { AuditNote } from './audit.ts';
import type { Clock, TimeMs } from './clock.ts';

/** A note, and how many equal ones there were. */
export type GatheredNote = { readonly note: AuditNote; readonly at: TimeMs; readonly count: number };

/** Notes wait so long for others like them, with which they become one record. */
export const GATHER_MS = 500;
/** Different refusals of one moment that are told apart; so nobody pushes the others out of the records within minutes. */
export const REFUSALS_MAX = 20;
/** Longest detail that is kept: as much as people read. */
const DETAIL_MAX = 500;

/** The notes of one moment, bounded whatever comes. */
export interface NotesOfMoment {
  add(note: AuditNote): void;
  /** Those since the last time, the oldest first; of what is beyond the bound there is one that says how many. */
  take(): readonly GatheredNote[];
}

/** Equal notes, ports aside, become one; `max` are told apart, and of the others only the number is kept, as of the outcome. */
export function notesOfMoment(max: number, outcome: AuditNote['outcome'], clock: Clock): NotesOfMoment {
  const waiting = new Map<string, { readonly note: AuditNote; readonly at: TimeMs; count: number }>();
  let left = 0;
  return {
    add(given) {
      const note = brief(given);
      const { act, actor, subject, detail, peer } = note;
      const key = JSON.stringify([act, actor, subject, detail, hostOf(peer)]);
      const known = waiting.get(key);
      if (known !== undefined) known.count += 1;
      else if (waiting.size >= max) left += 1;
      else waiting.set(key, { note, at: clock.now(), count: 1 });
    },
    take() {
      const taken: GatheredNote[] = [...waiting.values()];
      if (left > 0) taken.push({ note: overflow(outcome, left), at: clock.now(), count: left });
      waiting.clear();
      left = 0;
      return taken;
    },
  };
}

function brief(note: AuditNote): AuditNote {
  const short = (text: string) => (text.length > DETAIL_MAX ? `${text.slice(0, DETAIL_MAX)}…` : text);
  return { ...note, actor: short(note.actor), subject: short(note.subject), detail: short(note.detail) };
}

function overflow(outcome: AuditNote['outcome'], count: number): AuditNote {
  const detail = `${count} more within a moment, which are not told apart`;
  return { act: 'call', outcome, actor: '', subject: '', detail, peer: '' };
}

function hostOf(peer: string): string {
  return peer.slice(0, Math.max(0, peer.lastIndexOf(':')));
}
