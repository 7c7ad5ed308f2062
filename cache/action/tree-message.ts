import type { Digest } from '../digest.ts';
import { encodeDirectory, type Directory } from '../tree/directory.ts';
import { WireReader, WireWriter } from '../wire/wire.ts';

/**
 * The bytes of a REAPI Tree: the root and every directory below it, once each and before those that it holds.
 * `directories` is in that order and begins with the root, as `buildTree` and `scanTree` give it.
 */
export function encodeTree(directories: ReadonlyMap<Digest, Directory>): Uint8Array {
  const writer = new WireWriter(4096);
  let field = 1;
  for (const directory of directories.values()) {
    writer.bytes(field, encodeDirectory(directory), true);
    field = 2;
  }
  return writer.finish();
}

/** The encoded directories of a Tree, root first; they are slices of `bytes`. @throws {Fault} BAD_REQUEST. */
export function decodeTree(bytes: Uint8Array): readonly Uint8Array[] {
  let root: Uint8Array = new Uint8Array(0);
  const children: Uint8Array[] = [];
  const reader = new WireReader(bytes, 'Tree');
  while (reader.next()) {
    if (reader.field === 1) root = reader.bytes();
    else if (reader.field === 2) children.push(reader.bytes());
  }
  return [root, ...children];
}
