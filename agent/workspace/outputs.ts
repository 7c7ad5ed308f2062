import fs from 'node:fs';
import path from 'node:path';
import { Fault, isFault, wrap } from '../../base/fault.ts';
import type { OutputEntry } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import type { BlobSource } from '../../cache/tree/build.ts';
import { hashFile } from '../../cache/tree/hash-file.ts';
import { joinPath, linkEscapes } from '../../cache/tree/path.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { storeDirectory, type WorkspaceView } from './view.ts';

export type CollectedOutputs = { readonly entries: readonly OutputEntry[]; readonly bytesOut: number };

/**
 * Finds a step's outputs in its workspace and stores what `store` lacks; what was put there and was not changed is not read. Nothing of the step may run any more. An output
 * that is not there is left out. Links are kept as links, and only where they stay inside of the input root.
 * @throws {Fault} BAD_REQUEST or PATH_ESCAPES, naming the output, where it or something in it is no file, directory or
 * link that may be; whatever the store throws.
 */
export async function collectOutputs(
  view: WorkspaceView,
  workingDirectory: string,
  outputs: readonly string[],
  store: BlobStore,
  signal: AbortSignal,
): Promise<CollectedOutputs> {
  const blobs = new Map<Digest, BlobSource>();
  const entries: OutputEntry[] = [];
  let bytesOut = 0;
  for (const output of new Set(outputs)) {
    const at = joinPath(workingDirectory, output);
    try {
      const entry = await collectOne(view, at, output, { store, blobs }, signal);
      if (entry === undefined) continue;
      entries.push(entry.entry);
      bytesOut += entry.sentBytes;
    } catch (error) {
      throw isFault(error) ? wrap(error, `Output "${output}"`) : error;
    }
  }
  const { sentBytes } = await uploadTree({ blobs }, store, signal);
  return { entries, bytesOut: bytesOut + sentBytes };
}

type Found = { readonly entry: OutputEntry; readonly sentBytes: number };

async function collectOne(
  view: WorkspaceView,
  at: string,
  output: string,
  { store, blobs }: { readonly store: BlobStore; readonly blobs: Map<Digest, BlobSource> },
  signal: AbortSignal,
): Promise<Found | undefined> {
  const absolute = path.join(view.root, at);
  if (!isParentInside(view.root, absolute)) return undefined;
  const stat = fs.lstatSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined || isWhiteout(view, stat)) return undefined;
  if (stat.isSymbolicLink()) {
    const target = fs.readlinkSync(absolute);
    if (linkEscapes(at, target)) throw new Fault('PATH_ESCAPES', `it is a link to "${target}", which is out of the tree`);
    return { entry: { kind: 'symlink', path: output, target }, sentBytes: 0 };
  }
  if (stat.isFile()) {
    const { digest } = await hashFile(absolute, undefined, signal);
    blobs.set(digest, { kind: 'file', path: absolute });
    return { entry: { kind: 'file', path: output, digest, executable: (stat.mode & 0o100) !== 0 }, sentBytes: 0 };
  }
  if (!stat.isDirectory()) throw new Fault('BAD_REQUEST', 'it is a socket, a pipe or a device');
  const { root, tree, bytes, sentBytes } = await storeDirectory(view, at, store, { escapingLinks: 'refuse' }, signal);
  return { entry: { kind: 'directory', path: output, tree, root, bytes }, sentBytes };
}

/** What an overlay leaves where something of the inputs was removed. */
function isWhiteout(view: WorkspaceView, stat: fs.Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0 && view.bases.size > 0;
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
