import picomatch from 'picomatch';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import type { DirectoryReader } from './directory-reader.ts';
import { encodeDirectory } from './directory.ts';

export type PrunedTree = {
  readonly root: Digest;
  /** The directories that the whole tree does not have. */
  readonly made: ReadonlyMap<Digest, Uint8Array>;
};

/**
 * The part of a tree that patterns choose: globs of paths relative to the root, as `bin/**` or `**\/*.d.ts`; one without wildcards names
 * a file, or a directory with all below it. Directories in which nothing was chosen are left out. Reads directories only.
 * @throws {Fault} as `reader`.
 */
export async function pruneTree(
  root: Digest,
  patterns: readonly string[],
  reader: DirectoryReader,
  signal: AbortSignal,
): Promise<PrunedTree> {
  const matchers = patterns.map(compile);
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
    const files = directory.files.filter((file) => chosen(below(file.name)));
    const symlinks = directory.symlinks.filter((link) => chosen(below(link.name)));
    if (files.length + symlinks.length + directories.length === 0) return undefined;
    const bytes = encodeDirectory({ ...directory, files, directories, symlinks });
    const pruned = digestOf(bytes);
    if (pruned !== digest) made.set(pruned, bytes);
    return pruned;
  };
  return { root: (await visit(root, '')) ?? EMPTY_DIGEST, made };
}

function compile(pattern: string): (path: string) => boolean {
  const tidy = pattern.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  if (!picomatch.scan(tidy).isGlob) return (path) => path === tidy || path.startsWith(`${tidy}/`);
  const matches = picomatch(tidy, { dot: true });
  return (path) => matches(path);
}
