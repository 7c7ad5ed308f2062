import { randomUUID } from 'node:crypto';
import type { AuditSink } from '../base/audit.ts';
import type { Env } from '../base/env.ts';
import { notesOfMoment, REFUSALS_MAX, type GatheredNote } from '../base/gather-notes.ts';
import { openRefusalLog } from '../base/refusal-log.ts';

/** Refusals of a while, which a coordinator takes into its record together. */
export type RefusalBatch = { readonly id: string; readonly refusals: readonly GatheredNote[] };

/** What a data plane has refused: in its log, and held for the record of its coordinator. Bounded, though nobody comes to take it. */
export interface HeldRefusals extends AuditSink, Disposable {
  /** What was refused since the last batch; the same batch again until `kept` names it. Undefined where there is nothing. */
  take(kept: readonly string[]): RefusalBatch | undefined;
}

export function openRefusals(env: Env): HeldRefusals {
  const log = openRefusalLog(env);
  const held = notesOfMoment(REFUSALS_MAX, 'refused', env.clock);
  let batch: RefusalBatch | undefined;
  return {
    note(note) {
      if (note.outcome !== 'refused') return;
      log.note(note);
      held.add(note);
    },
    take(kept) {
      if (batch !== undefined && !kept.includes(batch.id)) return batch;
      const refusals = held.take();
      batch = refusals.length === 0 ? undefined : { id: randomUUID(), refusals };
      return batch;
    },
    [Symbol.dispose]: () => log[Symbol.dispose](),
  };
}
