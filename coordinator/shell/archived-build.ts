import type { ArchivedBuild } from '../archive/document.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { CoreView } from './core-view.ts';
import { viewOfRecords } from './build-reader.ts';
import { blobPieces, readStored } from './log-reader.ts';
import { logTarget } from './log-target.ts';
import type { StepLogPiece, StepLogRequest } from './step-log.ts';
import { cursorExpired, cursorOf, parseCursor, type WatchItem } from './watch.ts';

/* What watchers and readers of builds in the ledger get, for builds that have left it. */

export function viewOfArchived(build: ArchivedBuild): CoreView {
  return viewOfRecords(build.records);
}

/** `Watch.events` of a build that is over. Cursors of before it was archived go on. @throws {Fault} CURSOR_EXPIRED, BAD_REQUEST */
export function* archivedEvents({ events, incarnation }: ArchivedBuild, cursor: string): Generator<WatchItem> {
  const from = cursor === '' ? { incarnation, seq: 0 } : parseCursor(cursor);
  if (from.incarnation !== incarnation || from.seq > (events.at(-1)?.seq ?? 0)) throw cursorExpired();
  for (const event of events) if (event.seq > from.seq) yield { cursor: cursorOf(incarnation, event.seq), event };
}

/** `readStepLog` of a build that is over. @throws {Fault} as it */
export async function* archivedLog(
  build: ArchivedBuild,
  store: BlobStore,
  { step, attempt, offset }: StepLogRequest,
  signal: AbortSignal,
): AsyncGenerator<StepLogPiece> {
  const target = logTarget(viewOfArchived(build), step, attempt);
  const number = target.kind === 'attempt' ? target.number : 0;
  const sealed = target.kind === 'attempt' ? build.logs.get(target.token) : target.kind === 'result' ? target.sealed : undefined;
  const nothing = { chunks: [], segments: [], sealed: undefined };
  const pieces = sealed === undefined ? readStored(nothing, offset, store, signal) : blobPieces(sealed, offset, store, signal);
  for await (const piece of pieces) yield { ...piece, attempt: number };
}
