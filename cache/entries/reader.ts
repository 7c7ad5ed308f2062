import type { Logger } from '../../base/log.ts';
import { rememberingKeyring, type KeyId, type Keyring } from '../../base/signing.ts';
import type { EntryKey } from '../store-index/store-index.ts';
import { entryText } from '../store-index/order.ts';
import { newEntryCounters, type EntryCounters } from './counters.ts';
import type { Entry } from './entry-store.ts';
import { NO_GROUND, openRecord, sealEntry, type Ground } from './record.ts';

/** Records whose signatures are remembered, some 100 bytes each. */
const REMEMBERED = 20_000;

/**
 * What was found under a name. `unreadable`: not there for us, and not ours to remove (a newer version's, or signed by a key that is
 * not here). `bad`: damaged or forged; to be removed.
 */
export type Found =
  | { readonly kind: 'entry'; readonly entry: Entry; readonly ground: Ground; readonly keyId: KeyId }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'bad' };

/**
 * Makes records, and takes none that a key of ours has not signed for just that name. Says once what cannot be read, and each time what
 * was refused.
 */
export class RecordCodec {
  readonly #keys: Keyring;
  readonly #log: Logger;
  readonly #refused: EntryCounters['refused'];
  readonly #said = new Set<string>();

  constructor(keys: Keyring, log: Logger, { refused } = newEntryCounters()) {
    this.#keys = rememberingKeyring(keys, REMEMBERED);
    this.#log = log;
    this.#refused = refused;
  }

  /** Whether that key still verifies: keys may be exchanged. */
  knows(keyId: KeyId): boolean {
    return this.#keys.keyIds.includes(keyId);
  }

  /** @throws {Fault} BAD_REQUEST, TOO_LARGE */
  seal(entry: Entry, ground: Ground = NO_GROUND): Uint8Array {
    return sealEntry(entry, this.#keys, ground);
  }

  /** @param where file or object, for messages */
  read(record: Uint8Array, at: EntryKey, where: string): Found {
    const found = this.open(record, where);
    if (found.kind !== 'entry' || entryText(found.entry.at) === entryText(at)) return found;
    // A record in another's place would give that name's readers what was made for others, however well it is signed.
    return this.refuse(where, 'it is the record of another name', { name: at, record: found.entry.at });
  }

  /** As `read`, whatever its name. */
  open(record: Uint8Array, where: string): Found {
    const opened = openRecord(record, this.#keys);
    switch (opened.kind) {
      case 'entry':
        return opened;
      case 'newer':
        this.#refused['newer-version'] += 1;
        this.#once(`version ${opened.version}`, 'entry-version-unknown', {
          where,
          version: opened.version,
          hint: 'A newer program wrote it: upgrade this one. Until then such entries are misses here.',
        });
        return { kind: 'unreadable' };
      case 'unknown-key':
        this.#refused['unknown-key'] += 1;
        this.#once(`key ${opened.keyId}`, 'entry-key-unknown', {
          where,
          key: opened.keyId,
          keys: this.#keys.keyIds,
          hint: 'All coordinators on a store need the same file of signing keys. Until then such entries are misses here.',
        });
        return { kind: 'unreadable' };
      case 'bad':
        return this.refuse(where, opened.why);
    }
  }

  /** Says and counts that what lies there is no record of ours. */
  refuse(where: string, why: string, more: Readonly<Record<string, unknown>> = {}): Found {
    this.#refused.bad += 1;
    this.#log.error('entry-refused', { where, why, ...more });
    return { kind: 'bad' };
  }

  #once(name: string, event: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#said.has(name)) return;
    this.#said.add(name);
    this.#log.warn(event, fields);
  }
}
