import { type Digest } from '../digest.ts';
import type { DirectoryReader } from '../tree/directory-reader.ts';
import type { Directory, FileNode } from '../tree/directory.ts';
import { hardLinkGroupOf, type NodeProperties } from '../tree/properties.ts';

/** What turns one tree into another. Paths are relative to the roots; parents come before what they hold. */
export type TreeDelta = {
  /** Of the old tree only, or of another kind or content there: of a removed directory all files, then itself. */
  readonly removed: readonly { readonly path: string; readonly kind: 'file' | 'directory' | 'symlink'; readonly file?: FileNode }[];
  readonly directories: readonly string[];
  readonly files: readonly { readonly path: string; readonly file: FileNode }[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  /** Directories of the new tree in which something changed, the root first. */
  readonly touched: readonly { readonly path: string; readonly properties: NodeProperties | undefined }[];
  /** Entries that stay as they are, an unchanged directory counted once. */
  readonly keptCount: number;
};

/** The delta with lists that can be added to. */
type Building = { -readonly [K in keyof TreeDelta]: TreeDelta[K] extends readonly (infer T)[] ? T[] : TreeDelta[K] };

/**
 * Compares two trees by the digests of their directories: reads only those that differ. Undefined where more than `changesMax` entries
 * change, or where files with several names do, which cannot be changed one by one.
 * @throws {Fault} as `reader`.
 */
export async function diffTrees(
  from: Digest,
  to: Digest,
  reader: DirectoryReader,
  changesMax: number,
  signal: AbortSignal,
): Promise<TreeDelta | undefined> {
  const delta: Building = { removed: [], directories: [], files: [], links: [], touched: [], keptCount: 0 };
  let waiting: Pair[] = [{ at: '', from, to }];
  while (waiting.length > 0) {
    const some = waiting.slice(0, DIRECTORIES_AT_ONCE).filter((pair) => pair.from !== pair.to);
    waiting = waiting.slice(DIRECTORIES_AT_ONCE);
    const read = await readAll(
      some.flatMap((pair) => (pair.from === undefined ? [pair.to] : [pair.from, pair.to])),
      reader,
      signal,
    );
    for (const pair of some) {
      const gone = comparePair(pair, read, delta, waiting);
      if (gone === undefined) return undefined;
      await removeAll(gone, { reader, delta, changesMax }, signal);
      if (delta.removed.length + delta.files.length + delta.links.length + delta.directories.length > changesMax) return undefined;
    }
  }
  return delta;
}

/** Directories that are read together: as few waits for the store as there are levels, as long as these are not wide. */
const DIRECTORIES_AT_ONCE = 64;

/** A directory of the new tree, and what the old one has at its place. */
type Pair = { readonly at: string; readonly from: Digest | undefined; readonly to: Digest };
type Removed = { readonly at: string; readonly digest: Digest };

async function readAll(digests: readonly Digest[], reader: DirectoryReader, signal: AbortSignal): Promise<(digest: Digest) => Directory> {
  const read = new Map<Digest, Directory>();
  await reader.each(new Set(digests), (digest, directory) => read.set(digest, directory), signal);
  return (digest) => {
    const directory = read.get(digest);
    if (directory === undefined) throw new Error(`Directory ${digest} was read and is not there`);
    return directory;
  };
}

/** Adds what differs in this directory; those below it go to `waiting`. The directories that go, or undefined where that cannot be told. */
function comparePair(
  { at, from, to }: Pair,
  read: (digest: Digest) => Directory,
  delta: Building,
  waiting: Pair[],
): readonly Removed[] | undefined {
  const old = from === undefined ? undefined : read(from);
  const now = read(to);
  if ([...(old?.files ?? []), ...now.files].some((file) => hardLinkGroupOf(file.properties) !== undefined)) return undefined;
  const join = (name: string) => (at === '' ? name : `${at}/${name}`);
  delta.touched.push({ path: at, properties: now.properties });
  compareFiles(old, now, join, delta);
  const before = new Map(old?.directories.map((child) => [child.name, child.digest]));
  for (const child of now.directories) {
    const was = before.get(child.name);
    before.delete(child.name);
    if (was === child.digest) {
      delta.keptCount += 1;
      continue;
    }
    if (was === undefined) delta.directories.push(join(child.name));
    waiting.push({ at: join(child.name), from: was, to: child.digest });
  }
  return [...before].map(([name, digest]) => ({ at: join(name), digest }));
}

/** Lists the files of directories that go, then these themselves: the files may be of use elsewhere. */
async function removeAll(
  tops: readonly Removed[],
  { reader, delta, changesMax }: { readonly reader: DirectoryReader; readonly delta: Building; readonly changesMax: number },
  signal: AbortSignal,
): Promise<void> {
  let waiting = [...tops];
  while (waiting.length > 0 && delta.removed.length <= changesMax) {
    const some = waiting.slice(0, DIRECTORIES_AT_ONCE);
    waiting = waiting.slice(DIRECTORIES_AT_ONCE);
    const read = await readAll(
      some.map(({ digest }) => digest),
      reader,
      signal,
    );
    for (const { at, digest } of some) {
      const directory = read(digest);
      for (const file of directory.files) delta.removed.push({ path: `${at}/${file.name}`, kind: 'file', file });
      for (const child of directory.directories) waiting.push({ at: `${at}/${child.name}`, digest: child.digest });
    }
  }
  for (const { at } of tops) delta.removed.push({ path: at, kind: 'directory' });
}

/** Files and links of one directory. */
function compareFiles(old: Directory | undefined, now: Directory, join: (name: string) => string, delta: Building): void {
  const files = new Map(old?.files.map((file) => [file.name, file]));
  for (const file of now.files) {
    const was = files.get(file.name);
    if (was !== undefined && isSameFile(was, file)) {
      files.delete(file.name);
      delta.keptCount += 1;
    } else delta.files.push({ path: join(file.name), file });
  }
  for (const file of files.values()) delta.removed.push({ path: join(file.name), kind: 'file', file });
  const links = new Map(old?.symlinks.map((link) => [link.name, link.target]));
  for (const link of now.symlinks) {
    if (links.get(link.name) === link.target) {
      links.delete(link.name);
      delta.keptCount += 1;
    } else delta.links.push({ path: join(link.name), target: link.target });
  }
  for (const name of links.keys()) delta.removed.push({ path: join(name), kind: 'symlink' });
}

function isSameFile(a: FileNode, b: FileNode): boolean {
  return (
    a.digest === b.digest &&
    a.executable === b.executable &&
    a.properties?.mode === b.properties?.mode &&
    a.properties?.mtimeUs === b.properties?.mtimeUs
  );
}
