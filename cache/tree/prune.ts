import { globMatcher } from '../../base/glob.ts';
import { Turns } from '../../base/turns.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import type { DirectoryReader } from './directory-reader.ts';
import { encodeDirectory } from './directory.ts';

const ENTRIES_PER_TURN = 256;

export type PrunedTree = {
  readonly root: Digest;
  /** The directories that the whole tree does not have. */
  readonly made: ReadonlyMap<Digest, Uint8Array>;
};

/**
 * The part of a tree that globs choose, of paths relative to the root (`base/glob.ts`). A directory that is chosen comes with all below it;
 * those in which nothing was chosen are left out. Reads directories only.
 * @throws {Fault} as `reader`.
 */
export async function pruneTree(
  root: Digest,
  patterns: readonly string[],
  reader: DirectoryReader,
  signal: AbortSignal,
): Promise<PrunedTree> {
  const matchers = patterns.map(globMatcher);
  const turns = new Turns(ENTRIES_PER_TURN);
  const chosen = (path: string) => matchers.some((matches) => matches(path));
  const made = new Map<Digest, Uint8Array>();
  const visit = async (digest: Digest, at: string): Promise<Digest | undefined> => {
    if (at !== '' && chosen(at)) return digest;
    const directory = await reader.one(digest, signal);
    const below = (name: string) => (at === '' ? name : `${at}/${name}`);
    const directories = [];
    for (const child of directory.directories) {
      const kept = await visit(child.digest, below(child.name));
      if (kept !== undefined) directories.push({ name: child.name, digest: kept });
    }
    const choose = async <T extends { readonly name: string }>(entries: readonly T[]): Promise<readonly T[]> => {
      const kept: T[] = [];
      for (const entry of entries) {
        await turns.take();
        if (chosen(below(entry.name))) kept.push(entry);
      }
      return kept;
    };
    const files = await choose(directory.files);
    const symlinks = await choose(directory.symlinks);
    if (files.length + symlinks.length + directories.length === 0) return undefined;
    const bytes = encodeDirectory({ ...directory, files, directories, symlinks });
    const pruned = digestOf(bytes);
    if (pruned !== digest) made.set(pruned, bytes);
    return pruned;
  };
  return { root: (await visit(root, '')) ?? EMPTY_DIGEST, made };
}
