import { Fault } from '../../base/fault.ts';
import { digestOf, sizeOf, type Digest } from '../digest.ts';
import { compareNames, encodeDirectory, type Directory, type DirectoryNode, type FileNode, type SymlinkNode } from './directory.ts';
import { splitPath } from './path.ts';

/** One thing in a tree; `path` is relative to the root, with slashes. */
export type TreeEntry =
  | { readonly kind: 'file'; readonly path: string; readonly digest: Digest; readonly executable: boolean }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  /** A directory that is there even if nothing is in it; others come into being through what they hold. */
  | { readonly kind: 'directory'; readonly path: string };

/** Where a blob's bytes are. `path` is absolute. */
export type BlobSource = { readonly kind: 'bytes'; readonly bytes: Uint8Array } | { readonly kind: 'file'; readonly path: string };

export type BuiltTree = {
  /** Digest of the root's Directory message. */
  readonly root: Digest;
  /** Bytes of all files, a file that is there twice counted twice. */
  readonly bytes: number;
  readonly fileCount: number;
  /** Every directory once, each before those that it holds. */
  readonly directories: ReadonlyMap<Digest, Directory>;
  /** The encoded directories. */
  readonly encoded: ReadonlyMap<Digest, Uint8Array>;
};

type Node = TreeEntry | { readonly kind: 'level'; readonly children: Map<string, Node> };

/**
 * The canonical Merkle tree of the entries, given in any order.
 * @throws {Fault} BAD_REQUEST where two entries stand in each other's way; PATH_ESCAPES.
 */
export function buildTree(entries: Iterable<TreeEntry>): BuiltTree {
  const top: Extract<Node, { kind: 'level' }> = { kind: 'level', children: new Map() };
  let bytes = 0;
  let fileCount = 0;
  for (const entry of entries) {
    const names = splitPath(entry.path);
    const last = entry.kind === 'directory' ? undefined : names.pop();
    let at = top;
    for (const name of names) at = levelIn(at.children, name, entry.path);
    if (entry.kind === 'directory') continue;
    if (last === undefined) throw new Fault('BAD_REQUEST', `"${entry.path}": a ${entry.kind} cannot be the root of a tree`);
    if (at.children.has(last)) throw clash(entry.path);
    at.children.set(last, entry);
    if (entry.kind === 'file') {
      bytes += sizeOf(entry.digest);
      fileCount += 1;
    }
  }
  const finished: [Digest, Directory, Uint8Array][] = [];
  const root = finish(top.children, finished);
  // Children were finished before their parents: the reverse has parents first. A map keeps the place of the first set.
  const directories = new Map<Digest, Directory>();
  const encoded = new Map<Digest, Uint8Array>();
  for (const [digest, directory, message] of finished.toReversed()) {
    directories.delete(digest); // the latest place is after all its parents
    directories.set(digest, directory);
    encoded.set(digest, message);
  }
  return { root, bytes, fileCount, directories, encoded };
}

function levelIn(children: Map<string, Node>, name: string, path: string): Extract<Node, { kind: 'level' }> {
  const there = children.get(name);
  if (there?.kind === 'level') return there;
  if (there !== undefined) throw clash(path);
  const level = { kind: 'level' as const, children: new Map<string, Node>() };
  children.set(name, level);
  return level;
}

function clash(path: string): Fault {
  return new Fault('BAD_REQUEST', `"${path}": two different things are at this path of the tree`);
}

function finish(children: ReadonlyMap<string, Node>, finished: [Digest, Directory, Uint8Array][]): Digest {
  const files: FileNode[] = [];
  const directories: DirectoryNode[] = [];
  const symlinks: SymlinkNode[] = [];
  for (const name of [...children.keys()].toSorted(compareNames)) {
    const node = children.get(name);
    if (node?.kind === 'level') directories.push({ name, digest: finish(node.children, finished) });
    else if (node?.kind === 'file') files.push({ name, digest: node.digest, executable: node.executable });
    else if (node?.kind === 'symlink') symlinks.push({ name, target: node.target });
  }
  const directory = { files, directories, symlinks };
  const message = encodeDirectory(directory);
  const digest = digestOf(message);
  finished.push([digest, directory, message]);
  return digest;
}
