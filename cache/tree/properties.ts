import { Fault } from '../../base/fault.ts';
import { WireReader, type WireWriter } from '../wire/wire.ts';
import { readTexts, writeTexts } from '../wire/texts.ts';
import { readTime, writeTime } from '../wire/time.ts';

/**
 * What a tree may say of an entry beyond its content: REAPI NodeProperties. Trees that say nothing have the digests that they would have
 * if there were no properties.
 */
export type NodeProperties = {
  /** Microseconds since the epoch: what every runtime can set. */
  readonly mtimeUs?: number;
  /** Permission bits, at most 0o777: bits that lend rights (setuid, setgid) are never kept. */
  readonly mode?: number;
  /** Sorted by name, no name twice. */
  readonly named?: readonly NamedProperty[];
};

export type NamedProperty = { readonly name: string; readonly value: string };

const PROPERTY_TEXTS = ['name', 'value'] as const;

/** Files of a tree with the same value of this property are one file with several names. */
export const HARD_LINK_GROUP = 'switchyard.hard-link-group';

/** The group of hard links that a file belongs to. */
export function hardLinkGroupOf(properties: NodeProperties | undefined): string | undefined {
  return properties?.named?.find(({ name }) => name === HARD_LINK_GROUP)?.value;
}

/** Writes the properties in `field`, in canonical form; nothing where there are none. */
export function writeProperties(writer: WireWriter, field: number, properties: NodeProperties | undefined): void {
  if (properties === undefined) return;
  const { mtimeUs, mode, named = [] } = properties;
  if (mtimeUs === undefined && mode === undefined && named.length === 0) return;
  writer.message(field, (message) => {
    for (const property of named) message.message(1, (one) => writeTexts(one, PROPERTY_TEXTS, property));
    if (mtimeUs !== undefined) writeTime(message, 2, mtimeUs);
    if (mode !== undefined) message.message(3, (value) => value.varint(1, mode & 0o777));
  });
}

/** The properties that `bytes` hold; undefined where there are none. @throws {Fault} BAD_REQUEST, naming `entry`. */
export function readProperties(bytes: Uint8Array, entry: string): NodeProperties | undefined {
  const named: NamedProperty[] = [];
  let mtimeUs: number | undefined;
  let mode: number | undefined;
  const reader = new WireReader(bytes, 'NodeProperties');
  while (reader.next()) {
    if (reader.field === 1) named.push(readTexts(reader.bytes(), 'NodeProperty', PROPERTY_TEXTS));
    else if (reader.field === 2) mtimeUs = readTime(reader.bytes());
    else if (reader.field === 3) mode = readNumber(reader.bytes()) & 0o777;
  }
  named.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  if (mtimeUs !== undefined && !Number.isSafeInteger(mtimeUs)) {
    throw new Fault('BAD_REQUEST', `Directory entry ${JSON.stringify(entry)}: its time is out of range`);
  }
  if (named.length === 0 && mtimeUs === undefined && mode === undefined) return undefined;
  return {
    ...(mtimeUs === undefined ? {} : { mtimeUs }),
    ...(mode === undefined ? {} : { mode }),
    ...(named.length === 0 ? {} : { named }),
  };
}

function readNumber(bytes: Uint8Array): number {
  let value = 0;
  const reader = new WireReader(bytes, 'UInt32Value');
  while (reader.next()) if (reader.field === 1) value = reader.varint();
  return value;
}
