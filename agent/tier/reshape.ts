import fs from 'node:fs';
import path from 'node:path';
import { Turns } from '../../base/turns.ts';
import type { Digest } from '../../cache/digest.ts';
import type { TreeDelta } from '../../cache/layer/diff.ts';
import type { FileNode } from '../../cache/tree/directory.ts';
import type { FileToPlace } from '../../cache/tree/materialise.ts';
import { namingFiles } from '../../cache/tree/name-files.ts';
import { WRITABLE_MODES, mtimeOf } from '../../cache/tree/place.ts';

const ENTRIES_PER_TURN = 32;

/** What reshaping needs of whoever holds the blobs. */
export type Shaper = {
  readonly placeFiles: (files: readonly FileToPlace[], signal: AbortSignal) => Promise<void>;
  /** Takes a file that is no longer wanted where it lies; its bytes may be of use elsewhere. */
  readonly salvage: (file: string, digest: Digest) => void;
};

/**
 * Turns the tree at `top`, which nobody else may look at, into another one. When it fails, what is there is neither of the two.
 * Order: what goes; directories; files; links; then the times of directories.
 */
export async function reshape(top: string, delta: TreeDelta, shaper: Shaper, signal: AbortSignal): Promise<void> {
  const turns = new Turns(ENTRIES_PER_TURN);
  for (const { path: at, kind, file } of delta.removed) {
    await turns.take();
    const absolute = path.join(top, at);
    if (file !== undefined && file.properties === undefined) shaper.salvage(absolute, file.digest);
    if (kind === 'directory') await fs.promises.rm(absolute, { recursive: true, force: true });
    else fs.rmSync(absolute, { force: true });
  }
  for (const at of delta.directories) {
    await turns.take();
    fs.mkdirSync(path.join(top, at), { mode: 0o700 });
  }
  signal.throwIfAborted();
  const files = delta.files.map(({ path: at, file }) => fileToPlace(path.join(top, at), file));
  await namingFiles(files, top, () => shaper.placeFiles(files, signal));
  for (const { path: at, target } of delta.links) {
    await turns.take();
    fs.symlinkSync(target, path.join(top, at));
  }
  for (const { path: at, properties } of delta.touched) {
    await turns.take();
    fs.chmodSync(path.join(top, at), properties?.mode ?? WRITABLE_MODES.directory);
  }
  for (const { path: at, properties } of delta.touched.toReversed()) {
    const mtimeS = mtimeOf(properties?.mtimeUs);
    fs.utimesSync(path.join(top, at), mtimeS, mtimeS);
  }
}

function fileToPlace(at: string, file: FileNode): FileToPlace {
  const mode = file.properties?.mode ?? (file.executable ? WRITABLE_MODES.executable : WRITABLE_MODES.file);
  return { path: at, digest: file.digest, executable: file.executable, mode, mtimeS: mtimeOf(file.properties?.mtimeUs) };
}

/**
 * Gives everything below `top`, which its maker has left, the modes and times that a materialised tree has, so that it can stand for one.
 * Links and files keep their contents.
 */
export async function normalise(top: string): Promise<void> {
  const turns = new Turns(ENTRIES_PER_TURN);
  const fixed = mtimeOf(undefined);
  const give = (at: string, stat: fs.Stats, mode: number): void => {
    // Only what is different: a change of either makes a file look changed.
    if ((stat.mode & 0o7777) !== mode) fs.chmodSync(at, mode);
    if (stat.mtimeMs !== fixed * 1_000) fs.utimesSync(at, fixed, fixed);
  };
  const visit = async (at: string): Promise<void> => {
    if ((fs.lstatSync(at).mode & 0o700) !== 0o700) fs.chmodSync(at, 0o700); // to look into it
    for (const entry of fs.readdirSync(at, { withFileTypes: true })) {
      await turns.take();
      const below = path.join(at, entry.name);
      if (entry.isDirectory()) await visit(below);
      else if (entry.isFile()) {
        const stat = fs.lstatSync(below);
        give(below, stat, (stat.mode & 0o100) !== 0 ? WRITABLE_MODES.executable : WRITABLE_MODES.file);
      }
    }
    give(at, fs.lstatSync(at), WRITABLE_MODES.directory);
  };
  await visit(top);
}
