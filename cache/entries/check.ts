import { isProject, isScope } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import type { EntryKey, EntryKind } from '../store-index/store-index.ts';
import type { Entry } from './entry-store.ts';

export const ENTRY_KINDS = ['action', 'dependency', 'layer', 'tool'] as const satisfies readonly EntryKind[];

/** Longest key, in bytes. */
export const KEY_BYTES_MAX = 512;
/** Largest value: a result with some ten thousand outputs. */
export const VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Most parts of a key, and most entries that one names as consumed: a step has a few thousand needs at most. */
const LIST_MAX = 10_000;
/** Longest text of provenance, part or consumed entry, in bytes. */
const TEXT_BYTES_MAX = 4_096;

/** @throws {Fault} BAD_REQUEST for another kind */
export function kindOf(text: string): EntryKind {
  const kind = ENTRY_KINDS.find((known) => known === text);
  if (kind === undefined) throw new Fault('BAD_REQUEST', `Kind "${text}": must be one of ${ENTRY_KINDS.join(', ')}`, { field: 'kind' });
  return kind;
}

/** Only dependency caches are looked up by prefix: for the others a near miss is a miss. @throws {Fault} BAD_REQUEST */
export function checkPrefix(kind: EntryKind): void {
  if (kind !== 'dependency') {
    throw new Fault('BAD_REQUEST', `Entries of the kind "${kind}" are not looked up by prefix`, { field: 'kind' });
  }
}

/** @throws {Fault} BAD_REQUEST naming the part of the name that cannot be */
export function checkKey({ kind, owner, key }: EntryKey): void {
  kindOf(kind);
  if (!isProject(owner.project)) throw new Fault('BAD_REQUEST', `"${owner.project}" names no project`, { field: 'project' });
  if (!isScope(owner.scope)) throw new Fault('BAD_REQUEST', `"${owner.scope}" is no scope`, { field: 'scope' });
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > KEY_BYTES_MAX || /\p{Cc}/u.test(key) || !key.isWellFormed()) {
    throw new Fault('BAD_REQUEST', `A key must be 1 to ${KEY_BYTES_MAX} bytes of text without control characters`, { field: 'key' });
  }
}

/** @throws {Fault} BAD_REQUEST, TOO_LARGE naming the field */
export function checkEntry({ at, value, parts, provenance }: Entry): void {
  checkKey(at);
  if (value.byteLength > VALUE_BYTES_MAX)
    throw new Fault('TOO_LARGE', `The result has more than ${VALUE_BYTES_MAX} bytes`, { field: 'value' });
  const { consumed, writer: _, ...texts } = provenance;
  const lists = { parts, 'provenance.consumed': consumed };
  for (const [field, list] of Object.entries(lists)) {
    if (list.length > LIST_MAX) throw new Fault('TOO_LARGE', `${field} has more than ${LIST_MAX} elements`, { field });
  }
  const all = [texts, ...parts, ...consumed].flatMap((one) => Object.entries(one));
  for (const [field, text] of all) {
    if (Buffer.byteLength(text) > TEXT_BYTES_MAX) throw new Fault('TOO_LARGE', `${field} has more than ${TEXT_BYTES_MAX} bytes`, { field });
  }
}

/** Whether two entries stand for the same. */
export function sameValue(a: Entry, b: Entry): boolean {
  return Buffer.compare(a.value, b.value) === 0;
}

/** Whether two entries of one name are the same write of it, as far as can be told: of the same time, for the same. */
export function isSameWrite(a: Entry, b: Entry): boolean {
  return a.writtenAt === b.writtenAt && sameValue(a, b);
}
