import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import type { DirectoryReader } from '../tree/directory-reader.ts';
import { EMPTY_DIRECTORY, compareNames, type Directory, type DirectoryNode, type FileNode, type SymlinkNode } from '../tree/directory.ts';

/** What is in a tree, or what makes another tree of one. */
export type Step =
  | { readonly kind: 'directory'; readonly path: string; readonly directory: Directory }
  | { readonly kind: 'file'; readonly path: string; readonly file: FileNode }
  | { readonly kind: 'symlink'; readonly path: string; readonly link: SymlinkNode }
  /** Nothing is there any more. */
  | { readonly kind: 'removed'; readonly directory: string; readonly name: string };

type Child =
  | { readonly kind: 'directory'; readonly node: DirectoryNode }
  | { readonly kind: 'file'; readonly node: FileNode }
  | { readonly kind: 'symlink'; readonly node: SymlinkNode };

/** A directory that is being walked through: what is left of it, in order. */
type Open = {
  readonly path: string;
  readonly old: ReadonlyMap<string, Child>;
  readonly names: readonly string[];
  readonly now: ReadonlyMap<string, Child>;
  next: number;
};

/**
 * All of a tree, or where `from` is given what differs from that one: by names in their order, directories before what they hold, those in
 * which something changed included. Subtrees that are the same are not read.
 * @throws {Fault} as `reader`
 */
export async function* walkTree(
  from: Digest | undefined,
  to: Digest,
  reader: DirectoryReader,
  signal: AbortSignal,
): AsyncGenerator<Step, void, undefined> {
  if (from === to) return;
  const openAt = async (path: string, old: Digest | undefined, now: Directory): Promise<Open> => {
    const before = childrenOf(old === undefined ? EMPTY_DIRECTORY : await reader.one(old, signal));
    const after = childrenOf(now);
    return { path, old: before, now: after, names: [...new Set([...before.keys(), ...after.keys()])].toSorted(compareNames), next: 0 };
  };
  const open = [await openAt('', from, await reader.one(to, signal))];
  for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
    const name = at.names[at.next];
    at.next += 1;
    if (name === undefined) {
      open.pop();
      continue;
    }
    const [before, after] = [at.old.get(name), at.now.get(name)];
    const path = at.path === '' ? name : `${at.path}/${name}`;
    if (after === undefined) yield { kind: 'removed', directory: at.path, name };
    else if (after.kind === 'file') {
      if (!isSameFile(before, after.node)) yield { kind: 'file', path, file: after.node };
    } else if (after.kind === 'symlink') {
      if (before?.kind !== 'symlink' || before.node.target !== after.node.target) yield { kind: 'symlink', path, link: after.node };
    } else {
      const old = before?.kind === 'directory' ? before.node.digest : undefined;
      if (old === after.node.digest) continue;
      const directory = await reader.one(after.node.digest, signal);
      yield { kind: 'directory', path, directory };
      if (open.length > DEPTH_MAX) throw new Fault('TOO_LARGE', `"${path}": the tree is deeper than ${DEPTH_MAX} directories`);
      open.push(await openAt(path, old, directory));
    }
  }
}

const DEPTH_MAX = 2_048;

function isSameFile(before: Child | undefined, now: FileNode): boolean {
  return (
    before?.kind === 'file' &&
    before.node.digest === now.digest &&
    before.node.executable === now.executable &&
    before.node.properties?.mode === now.properties?.mode
  );
}

function childrenOf({ files, directories, symlinks }: Directory): ReadonlyMap<string, Child> {
  const children = new Map<string, Child>();
  for (const node of files) children.set(node.name, { kind: 'file', node });
  for (const node of directories) children.set(node.name, { kind: 'directory', node });
  for (const node of symlinks) children.set(node.name, { kind: 'symlink', node });
  return children;
}
