import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import { WireReader, WireWriter } from '../wire/wire.ts';
import { readDigest, writeDigest } from '../wire/digest.ts';
import { readProperties, writeProperties, type NodeProperties } from './properties.ts';

export type FileNode = {
  readonly name: string;
  readonly digest: Digest;
  readonly executable: boolean;
  readonly properties?: NodeProperties;
};
export type DirectoryNode = { readonly name: string; readonly digest: Digest };
export type SymlinkNode = { readonly name: string; readonly target: string; readonly properties?: NodeProperties };

/**
 * One level of a Merkle tree: a REAPI Directory. Canonical: each list sorted by the bytes of its names, no name twice, each
 * name one that `isEntryName` takes.
 */
export type Directory = {
  readonly files: readonly FileNode[];
  readonly directories: readonly DirectoryNode[];
  readonly symlinks: readonly SymlinkNode[];
  /** Of the directory itself. */
  readonly properties?: NodeProperties;
};

export const EMPTY_DIRECTORY: Directory = { files: [], directories: [], symlinks: [] };

/** Whether `name` can name an entry of a directory. */
export function isEntryName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** Order of two names by their bytes as UTF-8: less than, equal to or greater than 0. */
export function compareNames(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    // Surrogates stand for code points above all other code units.
    if (x !== y) return (isSurrogate(x) ? x + 0x10000 : x) - (isSurrogate(y) ? y + 0x10000 : y);
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** The directory with its lists in canonical order; the caller answers for names and for there being no repeats. */
export function sortedDirectory(directory: Directory): Directory {
  const byName = (a: { readonly name: string }, b: { readonly name: string }) => compareNames(a.name, b.name);
  return {
    ...directory,
    files: directory.files.toSorted(byName),
    directories: directory.directories.toSorted(byName),
    symlinks: directory.symlinks.toSorted(byName),
  };
}

/** The bytes of a directory in canonical order. @throws {Fault} BAD_REQUEST where it is not canonical. */
export function encodeDirectory(directory: Directory): Uint8Array {
  checkCanonical(directory);
  const writer = new WireWriter(64 + 112 * (directory.files.length + directory.directories.length + directory.symlinks.length));
  for (const file of directory.files) {
    writer.message(1, (node) => {
      node.string(1, file.name);
      writeDigest(node, 2, file.digest);
      node.varint(4, file.executable ? 1 : 0);
      writeProperties(node, 6, file.properties);
    });
  }
  for (const child of directory.directories) {
    writer.message(2, (node) => {
      node.string(1, child.name);
      writeDigest(node, 2, child.digest);
    });
  }
  for (const link of directory.symlinks) {
    writer.message(3, (node) => {
      node.string(1, link.name).string(2, link.target);
      writeProperties(node, 4, link.properties);
    });
  }
  writeProperties(writer, 5, directory.properties);
  return writer.finish();
}

/**
 * The directory that `bytes` hold.
 * @throws {Fault} BAD_REQUEST where they hold none, or one that is not canonical.
 */
export function decodeDirectory(bytes: Uint8Array): Directory {
  const files: FileNode[] = [];
  const directories: DirectoryNode[] = [];
  const symlinks: SymlinkNode[] = [];
  let properties: NodeProperties | undefined;
  const reader = new WireReader(bytes, 'Directory');
  while (reader.next()) {
    if (reader.field === 1) files.push(readNode(reader.bytes()));
    else if (reader.field === 2) {
      const { name, digest } = readNode(reader.bytes());
      directories.push({ name, digest });
    } else if (reader.field === 3) symlinks.push(readSymlink(reader.bytes()));
    else if (reader.field === 5) properties = readProperties(reader.bytes(), '.');
  }
  const directory = { files, directories, symlinks, ...(properties === undefined ? {} : { properties }) };
  checkCanonical(directory);
  return directory;
}

function readNode(bytes: Uint8Array): FileNode {
  let name = '';
  let digest: Digest | undefined;
  let executable = false;
  let properties: NodeProperties | undefined;
  const reader = new WireReader(bytes, 'Directory');
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) digest = readDigest(reader.bytes(), `Directory entry "${name}"`);
    else if (reader.field === 4) executable = reader.varint() !== 0;
    else if (reader.field === 6) properties = readProperties(reader.bytes(), name);
  }
  if (digest === undefined) throw new Fault('BAD_REQUEST', `Directory entry "${name}": it has no digest`);
  return { name, digest, executable, ...(properties === undefined ? {} : { properties }) };
}

function readSymlink(bytes: Uint8Array): SymlinkNode {
  let name = '';
  let target = '';
  let properties: NodeProperties | undefined;
  const reader = new WireReader(bytes, 'Directory');
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) target = reader.string();
    else if (reader.field === 4) properties = readProperties(reader.bytes(), name);
  }
  if (target === '' || target.includes('\0')) throw new Fault('BAD_REQUEST', `Directory entry "${name}": a link needs a target`);
  return { name, target, ...(properties === undefined ? {} : { properties }) };
}

/** @throws {Fault} BAD_REQUEST naming the entry. */
function checkCanonical(directory: Directory): void {
  const seen = new Set<string>();
  for (const list of [directory.files, directory.directories, directory.symlinks]) {
    let previous: string | undefined;
    for (const { name } of list) {
      if (!isEntryName(name)) throw new Fault('BAD_REQUEST', `Directory entry ${JSON.stringify(name)}: not a name that an entry can have`);
      if (previous !== undefined && compareNames(previous, name) > 0) {
        throw new Fault(
          'BAD_REQUEST',
          `Directory entry ${JSON.stringify(name)}: not in the order of names; sort each list by its names' bytes`,
        );
      }
      if (seen.has(name)) throw new Fault('BAD_REQUEST', `Directory entry ${JSON.stringify(name)}: there are two of that name`);
      seen.add(name);
      previous = name;
    }
  }
}
