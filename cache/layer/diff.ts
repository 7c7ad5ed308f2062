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
  const waiting: { readonly at: string; readonly from: Digest | undefined; readonly to: Digest }[] = [{ at: '', from, to }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at } = next;
    if (next.from === next.to) continue;
    const old = next.from === undefined ? undefined : await reader.one(next.from, signal);
    const now = await reader.one(next.to, signal);
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
    for (const [name, digest] of before) await removeAll(join(name), digest, { reader, delta, changesMax }, signal);
    if (delta.removed.length + delta.files.length + delta.links.length + delta.directories.length > changesMax) return undefined;
  }
  return delta;
}

/** Lists the files of a directory that goes, then itself: they may be of use elsewhere. */
async function removeAll(
  top: string,
  root: Digest,
  { reader, delta, changesMax }: { readonly reader: DirectoryReader; readonly delta: Building; readonly changesMax: number },
  signal: AbortSignal,
): Promise<void> {
  const waiting = [{ at: top, digest: root }];
  for (let next = waiting.pop(); next !== undefined && delta.removed.length <= changesMax; next = waiting.pop()) {
    const { at } = next;
    const directory = await reader.one(next.digest, signal);
    for (const file of directory.files) delta.removed.push({ path: `${at}/${file.name}`, kind: 'file', file });
    for (const child of directory.directories) waiting.push({ at: `${at}/${child.name}`, digest: child.digest });
  }
  delta.removed.push({ path: top, kind: 'directory' });
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
