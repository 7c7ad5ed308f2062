import { Fault } from '../../base/fault.ts';
import { WireReader, type WireWriter } from '../wire.ts';

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

/** Files of a tree with the same value of this property are one file with several names. */
export const HARD_LINK_GROUP = 'switchyard.hard-link-group';

const US = 1_000_000;

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
    for (const { name, value } of named) message.message(1, (one) => one.string(1, name).string(2, value));
    if (mtimeUs !== undefined) {
      const seconds = Math.floor(mtimeUs / US);
      message.message(2, (time) => time.signed(1, seconds).varint(2, (mtimeUs - seconds * US) * 1_000));
    }
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
    if (reader.field === 1) named.push(readNamed(reader.bytes()));
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

function readNamed(bytes: Uint8Array): NamedProperty {
  let name = '';
  let value = '';
  const reader = new WireReader(bytes, 'NodeProperty');
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) value = reader.string();
  }
  return { name, value };
}

function readTime(bytes: Uint8Array): number {
  let seconds = 0;
  let nanos = 0;
  const reader = new WireReader(bytes, 'Timestamp');
  while (reader.next()) {
    if (reader.field === 1) seconds = reader.signed();
    else if (reader.field === 2) nanos = reader.signed();
  }
  return seconds * US + Math.floor(nanos / 1_000);
}

function readNumber(bytes: Uint8Array): number {
  let value = 0;
  const reader = new WireReader(bytes, 'UInt32Value');
  while (reader.next()) if (reader.field === 1) value = reader.varint();
  return value;
}
