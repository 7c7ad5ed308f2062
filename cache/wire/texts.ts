import { WireReader, type WireWriter } from './wire.ts';

/** Writes the texts under their numbers, from 1, in the order of `names`; '' is left out. */
export function writeTexts<K extends string>(writer: WireWriter, names: readonly K[], from: Readonly<Record<K, string>>): void {
  for (const [index, name] of names.entries()) writer.string(index + 1, from[name]);
}

/** The texts of a message by their numbers, from 1; those that are not there are ''. `what` names the message in faults. */
export function readTexts<K extends string>(bytes: Uint8Array, what: string, names: readonly K[]): Record<K, string> {
  const found = new Map<K, string>();
  const reader = new WireReader(bytes, what);
  while (reader.next()) {
    const name = names[reader.field - 1];
    if (name !== undefined) found.set(name, reader.string());
  }
  return Object.fromEntries(names.map((name) => [name, found.get(name) ?? ''])) as Record<K, string>; // one text for each name
}
