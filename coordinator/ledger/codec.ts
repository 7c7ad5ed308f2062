import { unreachable } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import type { AgentId, BuildId, StepId } from '../core/ids.ts';
import type { BuildEvent, BuildRecord, LedgerRecord } from '../core/record.ts';
import type { StepSpec } from '../core/spec.ts';
import type { BuildState, Hold, SessionRecord, StepRecord, TopologyRevision } from '../core/state.ts';
import type { LogRecord } from './ledger.ts';

/**
 * The classes of keyed rows. `load` goes through them in this order, and by key within each, so that builds come before
 * what belongs to them.
 */
export const ROW_CLASSES = ['build', 'build-state', 'step-spec', 'step', 'session', 'hold', 'topology'] as const;

export type RowClass = (typeof ROW_CLASSES)[number];

/** A keyed row as it is stored. `body` is `<version>:<JSON>`, of ASCII and well-formed Unicode only. */
export type StoredRow = { readonly class: RowClass; readonly key: string; readonly body: string };

/** What a record does to the stored rows. */
export type RowChange =
  | ({ readonly kind: 'put' } & StoredRow)
  | { readonly kind: 'drop'; readonly class: RowClass; readonly key: string }
  | { readonly kind: 'event'; readonly build: BuildId; readonly seq: number; readonly body: string }
  | { readonly kind: 'forget'; readonly build: BuildId }
  | LogRecord;

/** The form that rows are written in. Rows of older forms are read for ever; each rewrite of a row brings it up to date. */
const BODY_VERSION = 1;

/** `record` as a change of rows; it shares no memory with the record. */
export function encodeRecord(record: LedgerRecord | LogRecord): RowChange {
  switch (record.kind) {
    case 'build':
      return { kind: 'put', class: 'build', key: record.build.id, body: bodyOf(record.build) };
    case 'build-state':
      return { kind: 'put', class: 'build-state', key: record.id, body: bodyOf(record.state) };
    case 'step-spec':
      return { kind: 'put', class: 'step-spec', key: record.id, body: bodyOf(record.spec) };
    case 'step':
      return { kind: 'put', class: 'step', key: record.id, body: bodyOf(record.step) };
    case 'session':
      return { kind: 'put', class: 'session', key: record.agent, body: bodyOf(record.session) };
    case 'agent-forgotten':
      return { kind: 'drop', class: 'session', key: record.agent };
    case 'hold':
      return { kind: 'put', class: 'hold', key: record.hold.target, body: bodyOf(record.hold) };
    case 'hold-lifted':
      return { kind: 'drop', class: 'hold', key: record.target };
    case 'topology':
      return { kind: 'put', class: 'topology', key: topologyKey(record.revision.revision), body: bodyOf(record.revision) };
    case 'topology-forgotten':
      return { kind: 'drop', class: 'topology', key: topologyKey(record.revision) };
    case 'event':
      return { kind: 'event', build: record.build, seq: record.event.seq, body: bodyOf(record.event) };
    case 'build-forgotten':
      return { kind: 'forget', build: record.id };
    case 'log-chunk':
      // A copy of its own: a view would drag its whole buffer through a clone, and its owner may reuse it.
      return { ...record, bytes: new Uint8Array(record.bytes) };
    case 'log-segment':
    case 'log-sealed':
    case 'log-forgotten':
      return record;
    default:
      return unreachable(record);
  }
}

/** The records without those of steps that a later one of the list replaces: for a commit, which is seen as a whole only. */
export function newestOf(records: readonly (LedgerRecord | LogRecord)[]): readonly (LedgerRecord | LogRecord)[] {
  const newest = new Map<StepId, LedgerRecord>();
  let steps = 0;
  for (const record of records) {
    if (record.kind !== 'step') continue;
    newest.set(record.id, record);
    steps += 1;
  }
  return newest.size === steps ? records : records.filter((record) => record.kind !== 'step' || newest.get(record.id) === record);
}

/**
 * The record of a stored row. Absent and undefined fields are the same thing.
 * @throws {Fault} WRONG_STATE where a newer version wrote it, LEDGER_UNAVAILABLE where it is not readable at all.
 */
export function decodeRow(row: StoredRow): LedgerRecord {
  const value = valueOf(row.body, `${row.class} ${row.key}`);
  // The casts below: a body holds what encodeRecord put there under the same class, and keys are the ids themselves.
  switch (row.class) {
    case 'build':
      return { kind: 'build', build: value as BuildRecord };
    case 'build-state':
      return { kind: 'build-state', id: row.key as BuildId, state: value as BuildState };
    case 'step-spec':
      return { kind: 'step-spec', id: row.key as StepId, spec: value as StepSpec };
    case 'step':
      return { kind: 'step', id: row.key as StepId, step: value as StepRecord };
    case 'session':
      return { kind: 'session', agent: row.key as AgentId, session: value as SessionRecord };
    case 'hold':
      return { kind: 'hold', hold: value as Hold };
    case 'topology':
      return { kind: 'topology', revision: value as TopologyRevision };
    default:
      return unreachable(row.class);
  }
}

/** The event of a stored body. @throws {Fault} as `decodeRow`. */
export function decodeEvent(build: BuildId, seq: number, body: string): BuildEvent {
  return valueOf(body, `event ${seq} of ${build}`) as BuildEvent; // written by encodeRecord from a BuildEvent
}

/** The build that a row of a class belongs to; undefined for the classes that outlive builds. */
export function ownerOf(rowClass: RowClass, key: string): string | undefined {
  switch (rowClass) {
    case 'build':
    case 'build-state':
      return key;
    case 'step-spec':
    case 'step':
      return key.slice(0, key.indexOf('/'));
    case 'session':
    case 'hold':
    case 'topology':
      return undefined;
    default:
      return unreachable(rowClass);
  }
}

/** Keys are in the order of the revisions. */
function topologyKey(revision: number): string {
  return String(revision).padStart(10, '0');
}

function bodyOf(value: unknown): string {
  return `${BODY_VERSION}:${JSON.stringify(value)}`;
}

function valueOf(body: string, what: string): unknown {
  const colon = body.indexOf(':');
  const version = Number(body.slice(0, colon));
  if (version > BODY_VERSION) {
    throw new Fault(
      'WRONG_STATE',
      `The ledger's ${what} was written by a newer Switchyard (form ${version}, this one reads ${BODY_VERSION})`,
      {
        hint: 'Start the newer version again, or use another ledger.',
      },
    );
  }
  try {
    if (colon < 1 || version !== BODY_VERSION) throw new SyntaxError(`no form ${body.slice(0, Math.max(colon, 0))} exists`);
    return JSON.parse(body.slice(colon + 1));
  } catch (error) {
    throw new Fault('LEDGER_UNAVAILABLE', `The ledger's ${what} cannot be read: the stored row is damaged`, {
      hint: 'Restore the ledger from a copy, or start with an empty one.',
      cause: error,
    });
  }
}
