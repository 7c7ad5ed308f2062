import type { Clock } from '../../base/clock.ts';
import type { BuildId } from '../core/ids.ts';
import type { BuildEvent } from '../core/record.ts';
import type { SharedLedger } from '../ledger/ledger.ts';
import type { HintFeed } from './hint-feed.ts';
import { cursorExpired, cursorOf, parseCursor, type WatchItem } from './watch.ts';

export type LedgerWatchOptions = {
  readonly ledger: Pick<SharedLedger, 'events' | 'incarnation'>;
  readonly hints: HintFeed;
  readonly signOfLifeMs: number;
  readonly clock: Clock;
};

/** Events of one read. */
const PAGE = 512;
/** How often the ledger is looked at though it gave no hint. */
const LOOK_MS = 2_000;

/**
 * `Watch.events` for a coordinator that does not lead: the same items for the same cursors, read from the ledger.
 * @throws {Fault} CURSOR_EXPIRED (also in the middle, where the ledger lost commits meanwhile), BAD_REQUEST, LEDGER_UNAVAILABLE
 */
export async function* watchLedger(
  options: LedgerWatchOptions,
  build: BuildId,
  cursor: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchItem> {
  const { ledger, hints, clock, signOfLifeMs } = options;
  using ear = hints.listen([build]);
  const { incarnation, seq: from, last: seen } = await startOf(options, build, cursor, signal);
  let seq = from;
  let last = seen;
  // Who goes on from a cursor hears at once that the watch is there, though nothing has happened since.
  let toldAt = cursor === undefined || cursor === '' ? clock.monotonic() : Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const page = await ledger.events(build, seq, PAGE, signal);
    // After the read: had commits been lost before it, its events may be others under the same numbers.
    if ((await ledger.incarnation(signal)) !== incarnation) throw cursorExpired();
    for (const event of page) {
      seq = event.seq;
      last = event;
      yield { cursor: cursorOf(incarnation, seq), event };
    }
    if (page.length > 0) toldAt = clock.monotonic();
    if (page.length === PAGE) continue;
    if (last?.kind === 'build-ended') return;
    // Every build has a first event, so one without any has left the ledger.
    if (page.length === 0 && (seq === 0 || (await isGone(options, build, seq, signal)))) return;
    if (clock.monotonic() - toldAt >= signOfLifeMs) {
      toldAt = clock.monotonic();
      yield { cursor: cursorOf(incarnation, seq), event: undefined };
    }
    await ear.stirred(Math.min(LOOK_MS, signOfLifeMs), signal);
  }
}

/** Where a cursor stands, with the event before it. */
async function startOf(
  { ledger }: LedgerWatchOptions,
  build: BuildId,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly incarnation: string; readonly seq: number; readonly last: BuildEvent | undefined }> {
  const incarnation = await ledger.incarnation(signal);
  if (cursor === undefined || cursor === '') return { incarnation, seq: 0, last: undefined };
  const at = parseCursor(cursor);
  if (at.incarnation !== incarnation) throw cursorExpired();
  if (at.seq === 0) return { incarnation, seq: 0, last: undefined };
  const [last] = await ledger.events(build, at.seq - 1, 1, signal);
  if (last === undefined) throw cursorExpired();
  return { incarnation, seq: at.seq, last };
}

/** Whether the build has left the ledger: its events, the one that was seen last among them, went with it. */
async function isGone({ ledger }: LedgerWatchOptions, build: BuildId, seq: number, signal: AbortSignal): Promise<boolean> {
  return (await ledger.events(build, seq - 1, 1, signal)).length === 0;
}
