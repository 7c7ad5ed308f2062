import { Fault } from '../../base/fault.ts';
import type { BuildId } from '../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../core/record.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { afterRealTime } from './sleep.ts';

/**
 * One message to a watcher; without an event it is a sign of life. One comes at once where a watch goes on from a cursor
 * after which nothing has happened, so that whoever lost a connection knows that it is back.
 */
export type WatchItem = { readonly cursor: string; readonly event: BuildEvent | undefined };

/**
 * The history of builds from any point, then live. A cursor is `<incarnation of the ledger>:<seq of the last event seen>`;
 * one of another incarnation may name events that were forgotten, so it is refused and the watcher takes a snapshot.
 */
export interface Watch {
  /** Takes note of records that have just become durable, in order. */
  committed(writes: readonly LedgerRecord[]): void;
  /**
   * Every event of the build after `cursor` (undefined = from the beginning), without gap or repeat, then live; ends after
   * the last event of a build that has ended. @throws {Fault} CURSOR_EXPIRED, BAD_REQUEST, LEDGER_UNAVAILABLE
   */
  events(build: BuildId, cursor: string | undefined, signal: AbortSignal): AsyncIterable<WatchItem>;
  /** Resolves at the build's next durable event, or when the signal aborts. */
  changed(build: BuildId, signal: AbortSignal): Promise<void>;
  cursorAt(seq: number): string;
  /** Streams that watch a build at the moment. */
  readonly watchers: number;
}

export type WatchOptions = {
  readonly ledger: Ledger;
  readonly incarnation: string;
  /** Whether the build has ended, and the seq of its last event; undefined for a build that is not there (any more). */
  readonly stateOf: (build: BuildId) => { readonly ended: boolean; readonly lastSeq: number } | undefined;
  readonly signOfLifeMs: number;
};

/** Events of one read from the ledger, and events that may wait for one watcher before it goes back to the ledger. */
const PAGE = 512;

type Watcher = {
  /** Events as they came, while `live`; otherwise the watcher reads from the ledger. */
  fresh: BuildEvent[];
  live: boolean;
  wake: (() => void) | undefined;
};

export function openWatch(options: WatchOptions): Watch {
  const watchers = new Map<BuildId, Set<Watcher>>();
  const cursorAt = (seq: number) => cursorOf(options.incarnation, seq);
  const join = (build: BuildId): Watcher => {
    const watcher: Watcher = { fresh: [], live: true, wake: undefined };
    let all = watchers.get(build);
    if (all === undefined) watchers.set(build, (all = new Set()));
    all.add(watcher);
    return watcher;
  };
  const leave = (build: BuildId, watcher: Watcher) => {
    const all = watchers.get(build);
    all?.delete(watcher);
    if (all?.size === 0) watchers.delete(build);
  };
  return {
    get watchers() {
      let count = 0;
      for (const all of watchers.values()) count += all.size;
      return count;
    },
    committed(writes) {
      for (const write of writes) {
        if (write.kind !== 'event') continue;
        for (const watcher of watchers.get(write.build) ?? []) notify(watcher, write.event);
      }
    },
    async *events(build, cursor, signal) {
      let seq = cursor === undefined || cursor === '' ? 0 : seqOf(cursor, options, build);
      const watcher = join(build);
      let greeted = cursor === undefined || cursor === '';
      try {
        watcher.live = false;
        while (!signal.aborted) {
          for (const event of await next(watcher, build, seq, options.ledger, signal)) {
            if (event.seq <= seq) continue;
            seq = event.seq;
            greeted = true;
            yield { cursor: cursorAt(seq), event };
          }
          if (watcher.fresh.length > 0 || !watcher.live) continue;
          const state = options.stateOf(build);
          if (state === undefined || (state.ended && seq >= state.lastSeq)) return;
          if (!greeted) {
            greeted = true;
            yield { cursor: cursorAt(seq), event: undefined };
            continue;
          }
          if (!(await stirred(watcher, options.signOfLifeMs, signal)) && !signal.aborted) yield { cursor: cursorAt(seq), event: undefined };
        }
      } finally {
        leave(build, watcher);
      }
    },
    async changed(build, signal) {
      const watcher = join(build);
      try {
        await stirred(watcher, undefined, signal);
      } finally {
        leave(build, watcher);
      }
    },
    cursorAt,
  };
}

function notify(watcher: Watcher, event: BuildEvent): void {
  if (watcher.live) watcher.fresh.push(event);
  if (watcher.fresh.length > PAGE) {
    watcher.fresh = [];
    watcher.live = false;
  }
  watcher.wake?.();
  watcher.wake = undefined;
}

/** The events after `seq` that are there: those that came live, or a page of the ledger until that is exhausted. */
async function next(watcher: Watcher, build: BuildId, seq: number, ledger: Ledger, signal: AbortSignal): Promise<readonly BuildEvent[]> {
  const fresh = watcher.fresh;
  watcher.fresh = [];
  if (watcher.live) {
    const first = fresh.find((event) => event.seq > seq);
    if (first === undefined || first.seq === seq + 1) return fresh;
  }
  // Live from before the read on: what is committed during it comes twice, and is dropped by its seq.
  watcher.live = true;
  watcher.fresh = [];
  const page = await ledger.events(build, seq, PAGE, signal);
  if (page.length === PAGE) {
    watcher.live = false;
    watcher.fresh = [];
  }
  return page;
}

/** Whether an event came before `timeoutMs` were over or the signal aborted. */
async function stirred(watcher: Watcher, timeoutMs: number | undefined, signal: AbortSignal): Promise<boolean> {
  if (watcher.fresh.length > 0 || signal.aborted) return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  watcher.wake = () => resolve(true);
  const stop = () => resolve(false);
  signal.addEventListener('abort', stop, { once: true });
  const cancel = timeoutMs === undefined ? undefined : afterRealTime(timeoutMs, stop);
  try {
    return await promise;
  } finally {
    watcher.wake = undefined;
    signal.removeEventListener('abort', stop);
    cancel?.();
  }
}

function seqOf(cursor: string, options: WatchOptions, build: BuildId): number {
  const { incarnation, seq } = parseCursor(cursor);
  if (incarnation !== options.incarnation || seq > (options.stateOf(build)?.lastSeq ?? 0)) throw cursorExpired();
  return seq;
}

/** The parts of a cursor. @throws {Fault} BAD_REQUEST */
export function parseCursor(cursor: string): { readonly incarnation: string; readonly seq: number } {
  const [, incarnation, digits] = /^([^:]{1,128}):(0|[1-9][0-9]{0,14})$/.exec(cursor) ?? [];
  if (incarnation === undefined || digits === undefined) {
    throw new Fault('BAD_REQUEST', 'cursor is not one of ours: send back what WatchBuild or GetBuild gave, or nothing', {
      field: 'cursor',
    });
  }
  return { incarnation, seq: Number(digits) };
}

/** What a cursor is answered with that may name events which the ledger has forgotten. */
export function cursorExpired(): Fault {
  const hint = 'Call GetBuild for the state as it is, and watch from its cursor.';
  return new Fault('CURSOR_EXPIRED', 'The cursor is from before the ledger was restored', { field: 'cursor', hint });
}

/** The cursor after the event of that number. */
export function cursorOf(incarnation: string, seq: number): string {
  return `${incarnation}:${seq}`;
}
