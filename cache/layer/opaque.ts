import fs from 'node:fs';
import path from 'node:path';
import type { Digest } from '../digest.ts';
import type { DirectoryReader } from '../tree/directory-reader.ts';
import type { Directory } from '../tree/directory.ts';
import { listDirectory } from '../tree/scan.ts';
import type { Base } from './save.ts';

/** Whether something is at each path, relative to the top, in the merged view of the overlay. */
export type Present = (paths: readonly string[]) => Promise<readonly boolean[]>;

/**
 * The directories of overlays that do not show what lies below them. A directory that was removed and made anew looks like one that was
 * changed; the mark that tells them apart is out of reach for this runtime. So the kernel is asked, once for all of them: is an entry there
 * that the lower directory has and the upper one does not mention? Directories which mention all of them need no answer.
 */
export async function findOpaque(
  top: string,
  bases: ReadonlyMap<string, Base>,
  reader: DirectoryReader,
  present: Present,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const asked: { readonly directory: string; readonly entry: string }[] = [];
  const waiting: { readonly at: string; readonly digest: Digest }[] = [];
  for (const [at, base] of bases) if (base.kind === 'overlay') waiting.push({ at, digest: base.root });
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at, digest } = next;
    const absolute = path.join(top, at);
    // Removed, or replaced by something else: the walk will see.
    if (fs.lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    const directory = await reader.one(digest, signal);
    const entries = new Map(listDirectory(absolute, at).map((entry) => [entry.name, entry]));
    const unmentioned = firstName(directory, (name) => !entries.has(name));
    const join = (name: string) => (at === '' ? name : `${at}/${name}`);
    if (unmentioned !== undefined) asked.push({ directory: at, entry: join(unmentioned) });
    for (const child of directory.directories) {
      if (entries.get(child.name)?.isDirectory() === true) waiting.push({ at: join(child.name), digest: child.digest });
    }
  }
  if (asked.length === 0) return new Set();
  const answers = await present(asked.map(({ entry }) => entry));
  return new Set(asked.filter((_, index) => answers[index] === false).map(({ directory }) => directory));
}

function firstName(directory: Directory, wanted: (name: string) => boolean): string | undefined {
  for (const list of [directory.files, directory.directories, directory.symlinks]) {
    for (const { name } of list) if (wanted(name)) return name;
  }
  return undefined;
}
