import type { AuditNote, AuditSink } from '../../base/audit.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { GATHER_MS, notesOfMoment, REFUSALS_MAX, type GatheredNote, type NotesOfMoment } from '../../base/gather-notes.ts';
import type { IdentityLog, IdentityRow, IdentityStore } from './store.ts';

/** A note as it is kept; `count` times within a moment. */
export type AuditRecord = AuditNote & { readonly id: string; readonly at: TimeMs; readonly count: number; readonly source: string };

export type AuditQuery = {
  readonly act?: string | undefined;
  readonly outcome?: string | undefined;
  /** A part of the actor, the subject or the peer. */
  readonly who?: string | undefined;
  readonly since?: TimeMs | undefined;
  readonly limit: number;
  /** Where an earlier page ended. */
  readonly before?: string | undefined;
};

export type AuditPage = {
  readonly records: readonly AuditRecord[];
  /** Where the next page begins; undefined where there is none. */
  readonly next: string | undefined;
};

/** What happened, in the order in which it was noted. */
export interface Audit extends AuditSink, AsyncDisposable {
  /** Keeps what another process has refused and gathered, as of now. @throws {Fault} LEDGER_UNAVAILABLE */
  take(refusals: readonly Omit<GatheredNote, 'at'>[], source: string): Promise<void>;
  /** Waits until everything that was noted is kept. */
  settled(): Promise<void>;
  list(query: AuditQuery): Promise<AuditPage>;
}

export type AuditOptions = {
  readonly store: IdentityStore;
  /** Records of each of the two logs that are kept. */
  readonly keep: number;
  /** Which process writes. */
  readonly source: string;
  readonly env: Env;
};

/** Different acts of one moment, which only somebody with a role can bring about. */
const ACTS_MAX = 1_000;
/** Rows that are read at once while looking for those that are wanted. */
const PAGE_ROWS = 500;

/** Keeps the record of what happened in the store, bounded. What cannot be written is in the process' log. */
export function openAudit({ store, keep, source, env }: AuditOptions): Audit {
  const moment: Record<IdentityLog, NotesOfMoment> = {
    acts: notesOfMoment(ACTS_MAX, 'ok', env.clock),
    refusals: notesOfMoment(REFUSALS_MAX, 'refused', env.clock),
  };
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  const write = async (log: IdentityLog) => {
    const rows = moment[log].take().map(({ note, at, count }) => ({ ...note, at, count, source }));
    if (rows.length === 0) return;
    try {
      await store.append(
        log,
        rows.map((row) => JSON.stringify(row)),
        keep,
      );
    } catch (error) {
      env.log.error('audit-not-written', { error, rows });
    }
  };
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(() => write('acts')).then(() => write('refusals'));
    return writing;
  };
  return {
    note(note) {
      moment[note.outcome === 'ok' ? 'acts' : 'refusals'].add(note);
      timer ??= setTimeout(() => void flush(), GATHER_MS).unref();
    },
    take: (refusals, from) =>
      store.append(
        'refusals',
        refusals.map(({ note, count }) => JSON.stringify({ ...note, at: env.clock.now(), count, source: from })),
        keep,
      ),
    settled: flush,
    list: (query) => list(store, query),
    async [Symbol.asyncDispose]() {
      await flush();
    },
  };
}

const LOGS = ['acts', 'refusals'] as const;

/** Both logs as one, from the newest back. */
async function list(store: IdentityStore, { limit, before, ...wanted }: AuditQuery): Promise<AuditPage> {
  const ends = cursorOf(before);
  const sources = LOGS.map((log) => ({ log, rows: rowsOf(store, log, ends[log]), head: undefined as AuditRecord | undefined }));
  const advance = async (source: (typeof sources)[number]) => {
    const next = await source.rows.next();
    source.head = next.done === true ? undefined : recordOf(next.value);
  };
  for (const source of sources) await advance(source);
  const records: AuditRecord[] = [];
  const position = { ...ends };
  while (records.length < limit) {
    const [newest] = sources.filter(({ head }) => head !== undefined).toSorted((a, b) => (b.head?.at ?? 0) - (a.head?.at ?? 0));
    const { head } = newest ?? {};
    if (newest === undefined || head === undefined || head.at < (wanted.since ?? 0)) return { records, next: undefined };
    position[newest.log] = head.id;
    if (fits(head, wanted)) records.push(head);
    await advance(newest);
  }
  const isMore = sources.some(({ head }) => head !== undefined);
  return { records, next: isMore ? LOGS.map((log) => position[log] ?? '').join('~') : undefined };
}

async function* rowsOf(store: IdentityStore, log: IdentityLog, from: string | undefined): AsyncGenerator<IdentityRow> {
  for (let before = from; ;) {
    const rows = await store.newest(log, PAGE_ROWS, before);
    yield* rows;
    if (rows.length < PAGE_ROWS) return;
    before = rows.at(-1)?.id;
  }
}

function fits(record: AuditRecord, { act, outcome, who }: Omit<AuditQuery, 'limit' | 'before'>): boolean {
  if (act !== undefined && record.act !== act) return false;
  if (outcome !== undefined && record.outcome !== outcome) return false;
  return who === undefined || [record.actor, record.subject, record.peer].some((text) => text.includes(who));
}

function recordOf({ id, body }: IdentityRow): AuditRecord {
  return { ...(JSON.parse(body) as Omit<AuditRecord, 'id'>), id }; // as `write` has kept it
}

function cursorOf(text: string | undefined): Record<IdentityLog, string | undefined> {
  if (text === undefined) return { acts: undefined, refusals: undefined };
  const [, acts = '', refusals = ''] = /^([0-9-]{0,40})~([0-9-]{0,40})$/.exec(text) ?? [];
  if (acts === '' && refusals === '')
    throw new Fault('BAD_REQUEST', 'before must be what an earlier page named as next', { field: 'before' });
  return { acts: acts === '' ? undefined : acts, refusals: refusals === '' ? undefined : refusals };
}
