import { Fault, isFault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../../../cache/digest.ts';
import { blobReader } from '../../../cache/read-blob.ts';
import { decodeDirectory, type Directory } from '../../../cache/tree/directory.ts';

/** What was found of an input tree: what it takes, and what of it the store lacks, as far as that can be told. */
export type InputTree = { readonly bytes: number; readonly missing: readonly Digest[] };

/** Directories of trees that were looked at lately: the actions of one build have most of theirs in common. */
export interface DirectoryCache {
  get(instanceName: string, digest: Digest): Directory | undefined;
  put(instanceName: string, digest: Digest, directory: Directory): void;
}

/** Most bytes of encoded directories that are kept. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Directories of one tree; more are refused. */
const DIRECTORIES_MAX = 200_000;
/** Directories that are read side by side. */
const READ_BATCH = 512;
/** Digests of one question to the store. */
const MISSING_BATCH = 5_000;

/** Kept by instance name: what one scope has stored tells nothing to another. The least used go first. */
export function openDirectoryCache(keptBytes: number = KEPT_BYTES): DirectoryCache {
  const kept = new Map<string, Directory>();
  let bytes = 0;
  const keyOf = (instanceName: string, digest: Digest) => `${instanceName} ${digest}`;
  const sizeOfKey = (key: string) => Number(key.slice(key.lastIndexOf('-') + 1)); // the digest's own end
  return {
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
  const wanted = new Set<Digest>(others);
  const seen = new Set<Digest>([root]);
  const absent = new Set<Digest>();
  let bytes = 0;
  for (let level: readonly Digest[] = [root]; level.length > 0;) {
    const next: Digest[] = [];
    for (const directory of await readAll(place, level, absent, signal)) {
      for (const { digest } of directory.files) {
        wanted.add(digest);
        bytes += sizeOf(digest);
      }
      for (const { digest } of directory.directories) {
        if (seen.has(digest)) continue;
        seen.add(digest);
        next.push(digest);
      }
    }
    if (seen.size > DIRECTORIES_MAX) throw new Fault('TOO_LARGE', `The input tree ${root} has more than ${DIRECTORIES_MAX} directories`);
    level = next;
  }
  const questions = [...wanted.union(seen)].filter((digest) => digest !== EMPTY_DIGEST && !absent.has(digest));
  const missing: Digest[] = [...absent];
  for (let start = 0; start < questions.length; start += MISSING_BATCH) {
    missing.push(...(await place.store.findMissing(questions.slice(start, start + MISSING_BATCH), signal)));
  }
  return { bytes, missing };
}

async function readAll(
  place: TreePlace,
  digests: readonly Digest[],
  absent: Set<Digest>,
  signal: AbortSignal,
): Promise<readonly Directory[]> {
  const found: Directory[] = [];
  for (let start = 0; start < digests.length; start += READ_BATCH) {
    const batch = digests.slice(start, start + READ_BATCH);
    const read = await Promise.all(batch.map((digest) => readOne(place, digest, signal)));
    for (const [index, directory] of read.entries()) {
      const digest = batch[index];
      if (directory !== undefined) found.push(directory);
      else if (digest !== undefined) absent.add(digest);
    }
  }
  return found;
}

/** Undefined where it is missing. */
async function readOne(
  { store, instanceName, directories }: TreePlace,
  digest: Digest,
  signal: AbortSignal,
): Promise<Directory | undefined> {
  const known = directories.get(instanceName, digest);
  if (known !== undefined) return known;
  try {
    const directory = decodeDirectory(digest === EMPTY_DIGEST ? new Uint8Array(0) : await blobReader(store)(digest, signal));
    directories.put(instanceName, digest, directory);
    return directory;
  } catch (error) {
    if (isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT')) return undefined;
    throw error;
  }
}
