import { compareNames } from '../tree/directory.ts';
import { WireWriter } from '../wire/wire.ts';

/** What is run, as a REAPI Command has it. */
export type CommandFields = {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly outputs: readonly string[];
};

/** Name and value, as in a REAPI Platform. */
export type PlatformProperty = readonly [name: string, value: string];

/** The bytes of a Command. Environment, outputs and platform are sorted, so that their order does not matter. */
export function encodeCommand(fields: CommandFields, platform: readonly PlatformProperty[]): Uint8Array {
  const writer = new WireWriter(1024);
  for (const argument of fields.command) writer.string(1, argument, true);
  const names = Object.keys(fields.env).toSorted(compareNames);
  for (const name of names) writer.message(2, (variable) => variable.string(1, name).string(2, fields.env[name] ?? ''));
  if (platform.length > 0) writer.message(5, (message) => writePlatform(message, platform));
  writer.string(6, fields.workingDirectory);
  for (const output of new Set(fields.outputs.toSorted(compareNames))) writer.string(7, output, true);
  writer.varint(9, 2); // TREE_AND_DIRECTORY: what agents store
  return writer.finish();
}

/** Writes a Platform message's fields, sorted by name and value. */
export function writePlatform(writer: WireWriter, platform: readonly PlatformProperty[]): void {
  const sorted = platform.toSorted((a, b) => compareNames(a[0], b[0]) || compareNames(a[1], b[1]));
  for (const [name, value] of sorted) writer.message(1, (property) => property.string(1, name).string(2, value));
}
