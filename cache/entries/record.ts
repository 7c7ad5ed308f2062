import { Fault } from '../../base/fault.ts';
import { SIGNATURE_BYTES, type KeyId, type Keyring } from '../../base/signing.ts';
import { reasonOf } from '../../base/thrown.ts';
import type { Owner } from '../store-index/store-index.ts';
import { WireReader, WireWriter } from '../wire/wire.ts';
import { readTexts, writeTexts } from '../wire/texts.ts';
import { checkEntry, kindOf } from './check.ts';
import type { Consumed, Entry, KeyPart, Provenance } from './entry-store.ts';

/*
 * A record: `SWE`, the version (one byte), the id of the key that signed it (8 bytes), the signature (64 bytes), and the entry as
 * protocol-buffer fields (below). The signature is of those very bytes, so that nothing is encoded anew before it is verified; a reader
 * that knows the version knows all of them. What a version adds goes into a new version, not into new fields: a reader that skipped a
 * field could take an entry for more than it is.
 */
const MAGIC = Buffer.from('SWE');
export const RECORD_VERSION = 1;
const HEADER_BYTES = MAGIC.byteLength + 1 + 8 + SIGNATURE_BYTES;
const PURPOSE = 'entry 1';

const FIELDS = { project: 1, scope: 2, kind: 3, key: 4, value: 5, part: 6, provenance: 7, writtenAt: 8, pack: 9, bytes: 10 } as const;
const PART_TEXTS = ['name', 'value'] as const satisfies readonly (keyof KeyPart)[];
/** Fields of Provenance that are text, by their numbers from 1; the entries that were consumed come after them. */
const PROVENANCE_TEXTS = ['build', 'step', 'attempt', 'agent', 'zone', 'caller', 'writer'] as const satisfies readonly (keyof Provenance)[];
const CONSUMED_FIELD = 8;
const CONSUMED_TEXTS = ['kind', 'scope', 'key', 'build', 'agent'] as const satisfies readonly (keyof Consumed)[];

/** What an entry stood on in the store when it was written, so that an index can be made anew from records. */
export type Ground = {
  /** Names of the packs that it needs; none where the store has no packs. */
  readonly packs: readonly string[];
  /** Bytes of all blobs that it needs. */
  readonly bytes: number;
};

export const NO_GROUND: Ground = { packs: [], bytes: 0 };

/** What a record turned out to be. */
export type Opened =
  | { readonly kind: 'entry'; readonly entry: Entry; readonly ground: Ground; readonly keyId: KeyId }
  /** Of a version that this program does not know: whoever does may need it, so it stays. */
  | { readonly kind: 'newer'; readonly version: number }
  /** Signed by a key that is not here: see `Verdict`. */
  | { readonly kind: 'unknown-key'; readonly keyId: KeyId }
  /** Damaged, forged, or no record at all. */
  | { readonly kind: 'bad'; readonly why: string };

/**
 * The entry as a signed record. The same entry, ground and key always give the same bytes.
 * @throws {Fault} BAD_REQUEST, TOO_LARGE, as `checkEntry`
 */
export function sealEntry(entry: Entry, keys: Keyring, ground: Ground = NO_GROUND): Uint8Array {
  checkEntry(entry);
  const body = encodeBody(entry, ground);
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header[MAGIC.byteLength] = RECORD_VERSION;
  header.write(keys.keyId, MAGIC.byteLength + 1, 'hex');
  header.set(keys.sign(PURPOSE, body), HEADER_BYTES - SIGNATURE_BYTES);
  return Buffer.concat([header, body]);
}

/** The entry in a record, once its signature was found good. Nothing of a record that is not is looked at. */
export function openRecord(record: Uint8Array, keys: Keyring): Opened {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.byteLength < MAGIC.byteLength + 1 || !bytes.subarray(0, MAGIC.byteLength).equals(MAGIC))
    return { kind: 'bad', why: 'no record' };
  const version = bytes[MAGIC.byteLength] ?? 0;
  if (version > RECORD_VERSION) return { kind: 'newer', version };
  if (version !== RECORD_VERSION || bytes.byteLength < HEADER_BYTES) return { kind: 'bad', why: 'cut short' };
  const keyId = bytes.toString('hex', MAGIC.byteLength + 1, MAGIC.byteLength + 9);
  const body = bytes.subarray(HEADER_BYTES);
  const verdict = keys.verify(PURPOSE, keyId, body, bytes.subarray(HEADER_BYTES - SIGNATURE_BYTES, HEADER_BYTES));
  if (verdict === 'unknown-key') return { kind: 'unknown-key', keyId };
  if (verdict === 'bad') return { kind: 'bad', why: `its signature is not one of the key ${keyId}` };
  try {
    return { kind: 'entry', ...decodeBody(body), keyId };
  } catch (error) {
    return { kind: 'bad', why: reasonOf(error) };
  }
}

function encodeBody({ at, value, parts, provenance, writtenAt }: Entry, ground: Ground): Uint8Array {
  const writer = new WireWriter(512 + value.byteLength);
  writer.string(FIELDS.project, at.owner.project).string(FIELDS.scope, at.owner.scope);
  writer.string(FIELDS.kind, at.kind).string(FIELDS.key, at.key).bytes(FIELDS.value, value);
  for (const part of parts) writer.message(FIELDS.part, (message) => writeTexts(message, PART_TEXTS, part));
  writer.message(FIELDS.provenance, (message) => {
    writeTexts(message, PROVENANCE_TEXTS, provenance);
    for (const one of provenance.consumed) message.message(CONSUMED_FIELD, (nested) => writeTexts(nested, CONSUMED_TEXTS, one));
  });
  writer.varint(FIELDS.writtenAt, Math.max(0, Math.round(writtenAt)));
  for (const pack of ground.packs) writer.bytes(FIELDS.pack, Buffer.from(pack, 'hex'));
  return writer.varint(FIELDS.bytes, ground.bytes).finish();
}

function decodeBody(bytes: Uint8Array): { readonly entry: Entry; readonly ground: Ground } {
  const owner: { -readonly [K in keyof Owner]: string } = { project: '', scope: '' };
  let [kind, key] = ['', ''];
  let value: Uint8Array = new Uint8Array(0);
  const parts: KeyPart[] = [];
  let provenance: Provenance | undefined;
  const packs: string[] = [];
  let [writtenAt, needed] = [0, 0];
  const reader = new WireReader(bytes, 'entry');
  while (reader.next()) {
    if (reader.field === FIELDS.project) owner.project = reader.string();
    else if (reader.field === FIELDS.scope) owner.scope = reader.string();
    else if (reader.field === FIELDS.kind) kind = reader.string();
    else if (reader.field === FIELDS.key) key = reader.string();
    else if (reader.field === FIELDS.value) value = Uint8Array.from(reader.bytes());
    else if (reader.field === FIELDS.part) parts.push(readTexts(reader.bytes(), 'entry', PART_TEXTS));
    else if (reader.field === FIELDS.provenance) provenance = readProvenance(reader.bytes());
    else if (reader.field === FIELDS.writtenAt) writtenAt = reader.varint();
    else if (reader.field === FIELDS.pack) packs.push(Buffer.from(reader.bytes()).toString('hex'));
    else if (reader.field === FIELDS.bytes) needed = reader.varint();
  }
  if (provenance === undefined) throw new Fault('BAD_REQUEST', 'The entry does not say who made it');
  const entry = { at: { kind: kindOf(kind), owner, key }, value, parts, provenance, writtenAt };
  return { entry, ground: { packs, bytes: needed } };
}

function readProvenance(bytes: Uint8Array): Provenance {
  const { writer, ...texts } = readTexts(bytes, 'entry', PROVENANCE_TEXTS);
  if (writer !== 'executor' && writer !== 'client') throw new Fault('BAD_REQUEST', `The entry's writer is "${writer}"`);
  const consumed: Consumed[] = [];
  const reader = new WireReader(bytes, 'provenance');
  while (reader.next()) {
    if (reader.field !== CONSUMED_FIELD) continue;
    const { kind, ...rest } = readTexts(reader.bytes(), 'entry', CONSUMED_TEXTS);
    consumed.push({ kind: kindOf(kind), ...rest });
  }
  return { ...texts, writer, consumed };
}
