import { hash, randomBytes } from 'node:crypto';
import type { TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { isObjectKey } from '../objects/object-key.ts';
import type { EntryKey } from '../store-index/store-index.ts';

/** What the keys of entries' objects begin with. */
export const ENTRY_PREFIX = 'e/';

/** The part of its object's key that is an entry's name: `e/<project>/<scope…>/<kind>/<sha256 of its key>`. */
export function objectPrefixOf({ kind, owner, key }: EntryKey): string {
  const prefix = `${ENTRY_PREFIX}${owner.project}/${owner.scope}/${kind}/${hash('sha256', key, 'hex')}`;
  if (!isObjectKey(prefix)) throw new Fault('BAD_REQUEST', `${owner.project}/${owner.scope} is no owner of objects`, { field: 'scope' });
  return prefix;
}

/** A key that no object has had: those of one name sort by when they were made. */
export function newObjectOf(at: EntryKey, now: TimeMs): string {
  return `${objectPrefixOf(at)}/${String(Math.max(0, Math.round(now))).padStart(15, '0')}-${randomBytes(8).toString('hex')}`;
}

/** The name's part of an object's key. */
export function prefixOfObject(object: string): string {
  return object.slice(0, Math.max(0, object.lastIndexOf('/')));
}
