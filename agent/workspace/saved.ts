import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../base/fault.ts';
import { encodeTree } from '../../cache/action/tree-message.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';

/** A directory of a workspace as it was stored. */
export type SavedTree = {
  /** Its root's Directory. */
  readonly root: Digest;
  /** The REAPI Tree message that holds all its directories; stored too. */
  readonly tree: Digest;
  /** Bytes of all files, those that are there twice counted twice. */
  readonly bytes: number;
  readonly fileCount: number;
  /** Bytes that had to be sent: what the store had was not. */
  readonly sentBytes: number;
};

/**
 * Stores the directory at `at`, relative to `root`; undefined where there is nothing. Links are kept as they are, wherever they lead.
 * @throws {Fault} BAD_REQUEST where something else than a directory is there; as `scanTree`; whatever the store throws.
 */
export async function saveDirectory(root: string, at: string, store: BlobStore, signal: AbortSignal): Promise<SavedTree | undefined> {
  const absolute = path.join(root, at);
  const stat = fs.lstatSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isDirectory()) throw new Fault('BAD_REQUEST', `"${at}" is no directory, so it cannot be saved as one`, { field: 'paths' });
  const scanned = await scanTree(absolute, { within: at, escapingLinks: 'keep' }, signal);
  const message = encodeTree(scanned.directories);
  const tree = digestOf(message);
  const blobs = new Map([...scanned.blobs, [tree, { kind: 'bytes' as const, bytes: message }]]);
  const { sentBytes } = await uploadTree({ blobs }, store, signal);
  return { root: scanned.root, tree, bytes: scanned.bytes, fileCount: scanned.fileCount, sentBytes };
}
