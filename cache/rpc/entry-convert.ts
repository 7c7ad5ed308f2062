import { Fault } from '../../base/fault.ts';
import { countFromProto } from '../../proto/convert.ts';
import type { CacheEntry, CacheEntry__Output } from '../../proto/gen/switchyard/v1/CacheEntry.ts';
import type { ConsumedEntry__Output } from '../../proto/gen/switchyard/v1/ConsumedEntry.ts';
import type { EntryKind__Output } from '../../proto/gen/switchyard/v1/EntryKind.ts';
import type { EntryName } from '../../proto/gen/switchyard/v1/EntryName.ts';
import type { EntryName__Output } from '../../proto/gen/switchyard/v1/EntryName.ts';
import type { EntryProvenance, EntryProvenance__Output } from '../../proto/gen/switchyard/v1/EntryProvenance.ts';
import type { PutEntryResponse__Output } from '../../proto/gen/switchyard/v1/PutEntryResponse.ts';
import type { Consumed, Entry, Provenance, Put } from '../entries/entry-store.ts';
import { NO_PROVENANCE } from '../entries/entry-store.ts';
import type { EntryKey, EntryKind } from '../store-index/store-index.ts';

const KINDS = {
  ENTRY_KIND_UNSPECIFIED: undefined,
  ENTRY_KIND_ACTION: 'action',
  ENTRY_KIND_DEPENDENCY: 'dependency',
  ENTRY_KIND_LAYER: 'layer',
  ENTRY_KIND_TOOL: 'tool',
} as const satisfies Record<EntryKind__Output, EntryKind | undefined>;

const KIND_NAMES = {
  action: 'ENTRY_KIND_ACTION',
  dependency: 'ENTRY_KIND_DEPENDENCY',
  layer: 'ENTRY_KIND_LAYER',
  tool: 'ENTRY_KIND_TOOL',
} as const satisfies Record<EntryKind, EntryKind__Output>;

export function kindToProto(kind: EntryKind): EntryKind__Output {
  return KIND_NAMES[kind];
}

export function optionalKindFromProto(kind: EntryKind__Output): EntryKind | undefined {
  return KINDS[kind];
}

/** @throws {Fault} BAD_REQUEST where there is none, or one that is not known here */
export function kindFromProto(kind: EntryKind__Output, field: string): EntryKind {
  const known = KINDS[kind];
  if (known === undefined) throw new Fault('BAD_REQUEST', `${field} must be ${Object.values(KIND_NAMES).join(', ')}`, { field });
  return known;
}

export function nameToProto({ kind, owner, key }: EntryKey): EntryName {
  return { kind: kindToProto(kind), scope: owner.scope, key };
}

/** @throws {Fault} BAD_REQUEST */
export function nameFromProto(project: string, name: EntryName__Output | null, field: string): EntryKey {
  if (name === null) throw new Fault('BAD_REQUEST', `${field} is missing`, { field });
  return { kind: kindFromProto(name.kind, `${field}.kind`), owner: { project, scope: name.scope }, key: name.key };
}

/** `withValue`: lists leave values out. */
export function entryToProto(entry: Entry, withValue: boolean): CacheEntry {
  return {
    name: nameToProto(entry.at),
    ...(withValue ? { value: entry.value } : {}),
    parts: entry.parts.map(({ name, value }) => ({ name, value })),
    provenance: provenanceToProto(entry.provenance),
    writtenAtMs: String(entry.writtenAt),
  };
}

/** @throws {Fault} BAD_REQUEST naming the field */
export function entryFromProto(project: string, message: CacheEntry__Output | null, field: string): Entry {
  if (message === null) throw new Fault('BAD_REQUEST', `${field} is missing`, { field });
  return {
    at: nameFromProto(project, message.name, `${field}.name`),
    value: message.value,
    parts: message.parts.map(({ name, value }) => ({ name, value })),
    provenance: provenanceFromProto(message.provenance, `${field}.provenance`),
    writtenAt: countFromProto(message.writtenAtMs, `${field}.written_at_ms`),
  };
}

const OUTCOMES = { OUTCOME_UNSPECIFIED: undefined, OUTCOME_KEPT: 'kept', OUTCOME_SAME: 'same', OUTCOME_DIFFERS: 'differs' } as const;

/** What became of an entry that was sent. */
export function putFromProto(sent: Entry, answer: PutEntryResponse__Output): Put {
  const kind = OUTCOMES[answer.outcome];
  if (kind === undefined) throw new Fault('INTERNAL', `The data plane answered ${answer.outcome} to an entry`);
  // What was kept comes back without the value that was sent.
  return kind === 'kept' ? { kind, entry: sent } : { kind, entry: entryFromProto(sent.at.owner.project, answer.entry, 'entry') };
}

export function provenanceToProto(provenance: Provenance): EntryProvenance {
  const { consumed, writer, ...texts } = provenance;
  return {
    ...texts,
    executed: writer === 'executor',
    consumed: consumed.map(({ kind, scope, key, build, agent }) => ({ name: { kind: kindToProto(kind), scope, key }, build, agent })),
  };
}

/** @throws {Fault} BAD_REQUEST naming the field */
export function provenanceFromProto(message: EntryProvenance__Output | null, field: string): Provenance {
  if (message === null) return NO_PROVENANCE;
  const { consumed, executed, build, step, attempt, agent, zone, caller } = message;
  const used = consumed.map((one, index) => consumedFromProto(one, `${field}.consumed[${index}]`));
  return { build, step, attempt, agent, zone, caller, writer: executed ? 'executor' : 'client', consumed: used };
}

function consumedFromProto({ name, build, agent }: ConsumedEntry__Output, field: string): Consumed {
  if (name === null) throw new Fault('BAD_REQUEST', `${field}.name is missing`, { field: `${field}.name` });
  return { kind: kindFromProto(name.kind, `${field}.name.kind`), scope: name.scope, key: name.key, build, agent };
}
