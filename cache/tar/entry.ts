import type { Header } from 'tar-stream';
import { Fault } from '../../base/fault.ts';
import { isEntryName } from '../tree/directory.ts';

/** One thing in an archive, checked. Names go from the root of the tree to it; [] is the root. */
export type TarEntry =
  | { readonly kind: 'file'; readonly names: readonly string[]; readonly sizeBytes: number; readonly executable: boolean }
  | { readonly kind: 'directory'; readonly names: readonly string[] }
  | { readonly kind: 'symlink'; readonly names: readonly string[]; readonly target: string }
  /** Another name of a file that came before it. */
  | { readonly kind: 'hardlink'; readonly names: readonly string[]; readonly target: readonly string[] }
  /** A device, pipe or socket. */
  | { readonly kind: 'special'; readonly names: readonly string[] };

/** What archives may hold at most. */
export type TarLimits = {
  /** Files, directories, links and the like. */
  readonly entries: number;
  /** Of the whole archive, once it is decompressed. */
  readonly bytes: number;
  /** Of a path, and of the target of a link. */
  readonly pathBytes: number;
};

export const TAR_LIMITS: TarLimits = { entries: 2_000_000, bytes: 64 * 1024 ** 3, pathBytes: 4_000 };

/** What is looked at of a header; `pax` has what an extended header said. */
export type TarHeader = Pick<Header, 'name' | 'size' | 'mode' | 'pax'> & {
  readonly linkname: string | null;
  readonly type: Header['type'] | null;
};

/** As what tar-stream is told to read names: each byte is a character, so that they can be looked at here. */
export const NAME_ENCODING = 'latin1';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * What a header says, or a refusal: nothing is repaired, since two readers that repair in two ways see two trees.
 * @throws {Fault} PATH_ESCAPES for paths that are absolute or hold `..`; BAD_REQUEST, TOO_LARGE naming the entry
 */
export function readEntry(header: TarHeader, limits: TarLimits): TarEntry {
  const path = nameIn(header, header.name, 'path');
  const names = splitEntryPath(path, limits);
  const { size: sizeBytes, type } = header;
  const refuse = (why: string, hint?: string): Fault =>
    new Fault('BAD_REQUEST', `Archive entry ${quoted(path)}: ${why}`, hint === undefined ? {} : { hint });
  const extended = extendedOf(header);
  if (Object.keys(extended).some((key) => key.startsWith('GNU.sparse.')))
    throw refuse('it is a sparse file', 'Make the archive without --sparse.');
  const paxSize = extended['size'];
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || (paxSize !== undefined && !/^\d{1,15}$/.test(paxSize))) {
    throw refuse('its size is no number of bytes');
  }
  if (type !== 'file' && type !== 'contiguous-file' && sizeBytes !== 0)
    throw refuse(`a ${String(type)} has no bytes, and it says ${sizeBytes}`);
  switch (type) {
    case 'file':
    case 'contiguous-file':
      if (names.length === 0) throw refuse('a file cannot be the root of a tree');
      return { kind: 'file', names, sizeBytes, executable: (header.mode & 0o100) !== 0 };
    case 'directory':
      return { kind: 'directory', names };
    case 'symlink':
      return { kind: 'symlink', names: below(names, refuse), target: targetIn(header, refuse, limits) };
    case 'link':
      return { kind: 'hardlink', names: below(names, refuse), target: splitEntryPath(targetIn(header, refuse, limits), limits) };
    case 'character-device':
    case 'block-device':
    case 'fifo':
      return { kind: 'special', names };
    default:
      throw refuse(
        'it is of a kind that is not known here, such as a sparse file or a part of another volume',
        'Make the archive as PAX or ustar.',
      );
  }
}

/** The names along an entry's path; a leading `./` and a trailing slash do not count. @throws {Fault} as `readEntry` */
function splitEntryPath(path: string, limits: TarLimits): readonly string[] {
  if (path.startsWith('/')) {
    throw new Fault('PATH_ESCAPES', `Archive entry ${quoted(path)} is absolute`, {
      hint: 'Make the archive with paths relative to its root.',
    });
  }
  if (Buffer.byteLength(path) > limits.pathBytes) throw new Fault('TOO_LARGE', `Archive entry ${quoted(path)}: its path is too long`);
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') throw new Fault('PATH_ESCAPES', `Archive entry ${quoted(path)} has ".." in it`);
    if (!isEntryName(name)) throw new Fault('BAD_REQUEST', `Archive entry ${quoted(path)} has a NUL byte in it`);
    names.push(name);
  }
  if (path === '') throw new Fault('BAD_REQUEST', 'An archive entry has no name');
  return names;
}

function below(names: readonly string[], refuse: (why: string) => Fault): readonly string[] {
  if (names.length === 0) throw refuse('a link cannot be the root of a tree');
  return names;
}

function targetIn(header: TarHeader, refuse: (why: string) => Fault, limits: TarLimits): string {
  const target = nameIn(header, header.linkname, 'linkpath');
  if (target === '' || target.includes('\0')) throw refuse('its target is no path');
  if (Buffer.byteLength(target) > limits.pathBytes) throw refuse('its target is too long');
  return target;
}

/** A name as text: extended headers are UTF-8, all others bytes that must be. */
function nameIn(header: TarHeader, name: string | null, key: 'path' | 'linkpath'): string {
  const extended = extendedOf(header)[key];
  if (extended !== undefined && extended !== '') return extended;
  try {
    return UTF8.decode(Buffer.from(name ?? '', NAME_ENCODING));
  } catch (error) {
    throw new Fault('BAD_REQUEST', `Archive entry ${quoted(name ?? '')}: its name is not UTF-8`, { cause: error });
  }
}

function extendedOf({ pax }: TarHeader): Readonly<Record<string, string>> {
  return (pax ?? {}) as Readonly<Record<string, string>>; // tar-stream reads names and texts, and types them as unknown
}

/** @throws {Fault} BAD_REQUEST where a name is longer than file systems take. */
export function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) {
      throw new Fault('BAD_REQUEST', `Archive entry ${quoted(names.join('/'))}: a name has over ${NAME_BYTES_MAX} bytes`);
    }
  }
}

const NAME_BYTES_MAX = 255;

function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
