import { Fault, isFault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { ByteBudget, forEachWithin } from '../../../cache/byte-budget.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../../../cache/digest.ts';
import { blobReader } from '../../../cache/read-blob.ts';
import { decodeDirectory, type Directory } from '../../../cache/tree/directory.ts';

/** What was found of an input tree: what it takes, and what of it the store lacks, as far as that can be told. */
export type InputTree = { readonly bytes: number; readonly missing: readonly Digest[] };

/** Directories of trees that were looked at lately: the actions of one build have most of theirs in common. */
export interface DirectoryCache {
  get(instanceName: string, digest: Digest): Directory | undefined;
  put(instanceName: string, digest: Digest, directory: Directory): void;
  /** What all who look at trees share: bytes that are being read, and turns for large trees. */
  readonly reading: ByteBudget;
  readonly large: ByteBudget;
}

/** Most bytes of encoded directories that are kept. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Directories of one tree, and entries of all of them together; trees with more are refused. */
const DIRECTORIES_MAX = 200_000;
const ENTRIES_MAX = 1_000_000;
/** Largest directory that is looked into: some 40,000 entries. */
const DIRECTORY_BYTES_MAX = 4 * 1024 * 1024;
/** Directories of one tree that are read side by side, and bytes of them over all trees: decoded they take several times as much. */
const READ_AT_ONCE = 512;
const READ_BYTES_MAX = 16 * 1024 * 1024;
/** A tree of more entries is looked at together with few others: what is known of each takes some 150 bytes an entry. */
const LARGE_ENTRIES = 20_000;
const LARGE_AT_ONCE = 4;
/** Digests of one question to the store. */
const MISSING_BATCH = 5_000;

/** Kept by instance name: what one scope has stored tells nothing to another. The least used go first. */
export function openDirectoryCache(keptBytes: number = KEPT_BYTES): DirectoryCache {
  const kept = new Map<string, Directory>();
  let bytes = 0;
  const keyOf = (instanceName: string, digest: Digest) => `${instanceName} ${digest}`;
  const sizeOfKey = (key: string) => Number(key.slice(key.lastIndexOf('-') + 1)); // the digest's own end
  return {
    reading: new ByteBudget(READ_BYTES_MAX),
    large: new ByteBudget(LARGE_AT_ONCE),
    get(instanceName, digest) {
      const key = keyOf(instanceName, digest);
      const directory = kept.get(key);
      if (directory === undefined) return undefined;
      kept.delete(key);
      kept.set(key, directory);
      return directory;
    },
    put(instanceName, digest, directory) {
      const key = keyOf(instanceName, digest);
      if (kept.has(key) || sizeOf(digest) > keptBytes) return;
      kept.set(key, directory);
      bytes += sizeOf(digest);
      for (const [oldest] of kept) {
        if (bytes <= keptBytes) break;
        kept.delete(oldest);
        bytes -= sizeOfKey(oldest);
      }
    },
  };
}

/** Where a tree is looked at. */
export type TreePlace = { readonly store: BlobStore; readonly instanceName: string; readonly directories: DirectoryCache };

/**
 * Looks for everything below `root`, and for `others`, which marks it as used just now. What a directory that is missing holds
 * cannot be told. @throws {Fault} BAD_REQUEST for a directory that is not canonical, TOO_LARGE; STORE_UNAVAILABLE
 */
export async function lookForTree(place: TreePlace, root: Digest, others: readonly Digest[], signal: AbortSignal): Promise<InputTree> {
  using turn = new DisposableStack();
  const wanted = new Set<Digest>(others);
  const seen = new Set<Digest>([root]);
  const absent = new Set<Digest>();
  let [bytes, entries, isLarge] = [0, 0, false];
  for (let level: readonly Digest[] = [root]; level.length > 0;) {
    const next: Digest[] = [];
    const look = async (digest: Digest, either: AbortSignal) => {
      const directory = await readOne(place, digest, either);
      if (directory === undefined) return void absent.add(digest);
      entries += directory.files.length + directory.directories.length;
      for (const file of directory.files) {
        wanted.add(file.digest);
        bytes += sizeOf(file.digest);
      }
      for (const child of directory.directories) {
        if (seen.has(child.digest)) continue;
        seen.add(child.digest);
        next.push(child.digest);
      }
      if (entries > ENTRIES_MAX || seen.size > DIRECTORIES_MAX) throw tooLarge(root);
    };
    await forEachWithin(level, READ_AT_ONCE, () => 1, look, signal);
    if (!isLarge && entries + next.length > LARGE_ENTRIES) {
      isLarge = true;
      turn.use(await place.directories.large.take(1, signal));
    }
    level = next;
  }
  const questions = [...wanted.union(seen)].filter((digest) => digest !== EMPTY_DIGEST && !absent.has(digest));
  const missing: Digest[] = [...absent];
  for (let start = 0; start < questions.length; start += MISSING_BATCH) {
    missing.push(...(await place.store.findMissing(questions.slice(start, start + MISSING_BATCH), signal)));
  }
  return { bytes, missing };
}

function tooLarge(root: Digest): Fault {
  return new Fault('TOO_LARGE', `The input tree ${root} has more than ${DIRECTORIES_MAX} directories or ${ENTRIES_MAX} entries`);
}

/** Undefined where it is missing. */
async function readOne(
  { store, instanceName, directories }: TreePlace,
  digest: Digest,
  signal: AbortSignal,
): Promise<Directory | undefined> {
  const known = directories.get(instanceName, digest);
  if (known !== undefined) return known;
  using _ = await directories.reading.take(sizeOf(digest), signal);
  try {
    const read = blobReader(store, DIRECTORY_BYTES_MAX);
    const directory = decodeDirectory(digest === EMPTY_DIGEST ? new Uint8Array(0) : await read(digest, signal));
    directories.put(instanceName, digest, directory);
    return directory;
  } catch (error) {
    if (isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT')) return undefined;
    throw error;
  }
}
