import fs from 'node:fs';
import path from 'node:path';
import { Fault, isFault, wrap } from '../../base/fault.ts';
import { encodeTree } from '../../cache/action/tree-message.ts';
import type { OutputEntry } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import type { BlobSource } from '../../cache/tree/build.ts';
import { hashFile } from '../../cache/tree/hash-file.ts';
import { joinPath, linkEscapes } from '../../cache/tree/path.ts';
import { scanTree } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';

export type CollectedOutputs = { readonly entries: readonly OutputEntry[]; readonly bytesOut: number };

/**
 * Finds a step's outputs in its workspace and stores what `store` lacks. Nothing of the step may run any more. An output
 * that is not there is left out. Links are kept as links, and only where they stay inside of the input root.
 * @throws {Fault} BAD_REQUEST or PATH_ESCAPES, naming the output, where it or something in it is no file, directory or
 * link that may be; whatever the store throws.
 */
export async function collectOutputs(
  root: string,
  workingDirectory: string,
  outputs: readonly string[],
  store: BlobStore,
  signal: AbortSignal,
): Promise<CollectedOutputs> {
  const blobs = new Map<Digest, BlobSource>();
  const entries: OutputEntry[] = [];
  for (const output of new Set(outputs)) {
    const at = joinPath(workingDirectory, output);
    try {
      const entry = await collectOne(root, at, output, blobs, signal);
      if (entry !== undefined) entries.push(entry);
    } catch (error) {
      throw isFault(error) ? wrap(error, `Output "${output}"`) : error;
    }
  }
  const { sentBytes } = await uploadTree({ blobs }, store, signal);
  return { entries, bytesOut: sentBytes };
}

async function collectOne(
  root: string,
  at: string,
  output: string,
  blobs: Map<Digest, BlobSource>,
  signal: AbortSignal,
): Promise<OutputEntry | undefined> {
  const absolute = path.join(root, at);
  if (!isParentInside(root, absolute)) return undefined;
  const stat = fs.lstatSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) {
    const target = fs.readlinkSync(absolute);
    if (linkEscapes(at, target)) throw new Fault('PATH_ESCAPES', `it is a link to "${target}", which is out of the tree`);
    return { kind: 'symlink', path: output, target };
  }
  if (stat.isFile()) {
    const { digest } = await hashFile(absolute, undefined, signal);
    blobs.set(digest, { kind: 'file', path: absolute });
    return { kind: 'file', path: output, digest, executable: (stat.mode & 0o100) !== 0 };
  }
  if (!stat.isDirectory()) throw new Fault('BAD_REQUEST', 'it is a socket, a pipe or a device');
  const scanned = await scanTree(absolute, { within: at }, signal);
  for (const [digest, source] of scanned.blobs) blobs.set(digest, source);
  const message = encodeTree(scanned.directories);
  const tree = digestOf(message);
  blobs.set(tree, { kind: 'bytes', bytes: message });
  return { kind: 'directory', path: output, tree, root: scanned.root, bytes: scanned.bytes };
}

/**
 * Whether the directory that should hold the output is there.
 * @throws {Fault} PATH_ESCAPES where the way to it leads, through a link, out of the input root.
 */
function isParentInside(root: string, absolute: string): boolean {
  const parent = absolute === path.join(root) ? absolute : path.dirname(absolute);
  if (!fs.existsSync(parent)) return false;
  const real = fs.realpathSync(parent);
  const top = fs.realpathSync(root);
  if (real !== top && !real.startsWith(top + path.sep)) throw new Fault('PATH_ESCAPES', 'a link on the way to it leads out of the tree');
  return true;
}
