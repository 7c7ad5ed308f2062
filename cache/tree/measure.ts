import { Fault } from '../../base/fault.ts';
import { sizeOf, type Digest } from '../digest.ts';
import type { Directory } from './directory.ts';
import type { DirectoryReader } from './directory-reader.ts';

/** How large a tree is, each directory and file counted as often as it is there. */
export type TreeSize = { readonly fileCount: number; readonly entryCount: number; readonly bytes: number; readonly depth: number };

/** What a tree may be at most, whoever made it. */
export const TREE_LIMITS = {
  entries: 2_000_000,
  /** In one directory. */
  directoryEntries: 1_000_000,
  depth: 512,
  /** Bytes of a name: what file systems take. */
  nameBytes: 255,
  /** Bytes of a path below the root. */
  pathBytes: 4_000,
} as const;

/** How file names are told apart where the tree is to lie: by their bytes, or so that names that differ in case or form are one. */
export type NameFolding = 'bytes' | 'folded';

type Sum = { readonly own: TreeSize; readonly children: readonly Digest[] };

/**
 * Measures a tree without making any of it, reading each of its directories once. Memory goes with the number of different directories,
 * not with that of files.
 * @throws {Fault} TOO_LARGE, BAD_REQUEST naming the directory, where no file system could hold it; as `reader`.
 */
export async function measureTree(
  root: Digest,
  reader: DirectoryReader,
  limits: { readonly entriesMax: number; readonly folding: NameFolding },
  signal: AbortSignal,
): Promise<TreeSize> {
  const sums = new Map<Digest, Sum>();
  let level: Digest[] = [root];
  while (level.length > 0) {
    const next = new Set<Digest>();
    await reader.each(
      level,
      (digest, directory) => {
        checkDirectory(digest, directory, limits.folding);
        const children = directory.directories.map((child) => child.digest);
        for (const child of children) next.add(child);
        sums.set(digest, { own: sizeOfDirectory(directory), children });
      },
      signal,
    );
    if (sums.size > limits.entriesMax) throw tooLarge(root, limits.entriesMax);
    level = [...next].filter((digest) => !sums.has(digest));
  }
  const total = sumUp(root, sums);
  if (total.depth > TREE_LIMITS.depth) throw new Fault('TOO_LARGE', `The tree ${root} is more than ${TREE_LIMITS.depth} directories deep`);
  if (total.entryCount > limits.entriesMax) throw tooLarge(root, limits.entriesMax);
  return total;
}

function tooLarge(root: Digest, limit: number): Fault {
  return new Fault('TOO_LARGE', `The tree ${root} has more than ${limit} entries`);
}

function sizeOfDirectory(directory: Directory): TreeSize {
  const fileCount = directory.files.length + directory.symlinks.length;
  const bytes = directory.files.reduce((sum, file) => sum + sizeOf(file.digest), 0);
  return { fileCount, entryCount: fileCount + directory.directories.length, bytes, depth: 0 };
}

/** Children before parents, without recursion. */
function sumUp(root: Digest, sums: ReadonlyMap<Digest, Sum>): TreeSize {
  const done = new Map<Digest, TreeSize>();
  const waiting = [root];
  for (let digest = waiting.at(-1); digest !== undefined; digest = waiting.at(-1)) {
    const sum = sums.get(digest);
    if (sum === undefined || done.has(digest)) {
      waiting.pop();
      continue;
    }
    const open = sum.children.filter((child) => !done.has(child));
    if (open.length > 0) {
      waiting.push(...open);
      continue;
    }
    let { fileCount, entryCount, bytes, depth } = sum.own;
    for (const child of sum.children) {
      const below = done.get(child) ?? sum.own;
      fileCount += below.fileCount;
      entryCount += below.entryCount;
      bytes += below.bytes;
      depth = Math.max(depth, below.depth + 1);
    }
    done.set(digest, { fileCount, entryCount, bytes, depth });
    waiting.pop();
  }
  return done.get(root) ?? { fileCount: 0, entryCount: 0, bytes: 0, depth: 0 };
}

function checkDirectory(digest: Digest, directory: Directory, folding: NameFolding): void {
  const names = [...directory.files, ...directory.directories, ...directory.symlinks];
  if (names.length > TREE_LIMITS.directoryEntries) {
    throw new Fault('TOO_LARGE', `Directory ${digest} has ${names.length} entries, more than ${TREE_LIMITS.directoryEntries}`);
  }
  const folded = new Map<string, string>();
  for (const { name } of names) {
    if (name.length > TREE_LIMITS.nameBytes / 4 && Buffer.byteLength(name) > TREE_LIMITS.nameBytes) {
      throw new Fault(
        'BAD_REQUEST',
        `Directory ${digest}: "${name.slice(0, 40)}…" is longer than a name can be (${TREE_LIMITS.nameBytes} bytes)`,
      );
    }
    if (folding === 'bytes') continue;
    const key = name.normalize('NFC').toLowerCase();
    const other = folded.get(key);
    if (other !== undefined) {
      throw new Fault('BAD_REQUEST', `${JSON.stringify(other)} and ${JSON.stringify(name)} would be one file here`, {
        hint: 'The file system takes names for the same that differ in case or in how accents are written. Rename one of them.',
      });
    }
    folded.set(key, name);
  }
}
