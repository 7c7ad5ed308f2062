import path from 'node:path';
import type { BlobStore, ReadBlob } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { findOpaque, type Present } from '../../cache/layer/opaque.ts';
import { saveTree, type Base, type SaveOptions, type SavedRoot } from '../../cache/layer/save.ts';
import { wholeTree, type WholeTree } from '../../cache/layer/tree-message.ts';
import { UploadSink } from '../../cache/layer/upload-sink.ts';
import { DirectoryReader } from '../../cache/tree/directory-reader.ts';

/** A workspace as it is found when its step has ended: what is on the host, and what was there before. */
export type WorkspaceView = {
  readonly root: string;
  /** By path relative to the root; none in another. */
  readonly bases: ReadonlyMap<string, Base>;
  /** Reads the directories of the bases. */
  readonly readDirectory: ReadBlob;
  /** Answers for the overlay; only where a base is one. */
  readonly present: (paths: readonly string[], signal: AbortSignal) => Promise<readonly boolean[]>;
};

/** A directory with nothing known of it. */
export function plainView(root: string): WorkspaceView {
  const nothing = async () => {
    throw new Error('there are no bases');
  };
  return { root, bases: new Map(), readDirectory: nothing, present: nothing };
}

/** What was stored of a directory. */
export type StoredTree = SavedRoot & WholeTree & { readonly sentBytes: number; readonly files: ReadonlyMap<Digest, string> };

/**
 * Stores the directory at `at` of the workspace, which is neither in a base nor reached through a link, with its Tree message.
 * @throws {Fault} as `saveTree`; whatever the store throws.
 */
export async function storeDirectory(
  view: WorkspaceView,
  at: string,
  store: BlobStore,
  options: SaveOptions,
  signal: AbortSignal,
): Promise<StoredTree> {
  const reader = new DirectoryReader(view.readDirectory);
  const bases = new Map([...view.bases].filter(([base]) => isBelow(base, at)));
  const present: Present = (paths) => view.present(paths, signal);
  const opaque = await findOpaque(view.root, bases, reader, present, signal);
  const sink = new UploadSink(store, signal);
  const saved = await saveTree({ top: view.root, bases, reader, opaque }, at, sink, options, signal);
  const read: ReadBlob = async (digest, stop) => sink.encoded.get(digest) ?? view.readDirectory(digest, stop);
  const whole = await wholeTree(saved.root, read, signal);
  await sink.directory(whole.tree, whole.message);
  await sink.finish();
  return { ...saved, ...whole, sentBytes: sink.sentBytes, files: sink.files };
}

function isBelow(base: string, at: string): boolean {
  return at === '' || base === at || base.startsWith(`${at}/`);
}

/** Whether something that the inputs may hold at that path is only part of a base, so that looking at the host does not tell. */
export function baseAbove(view: WorkspaceView, at: string): string | undefined {
  for (let above = path.posix.dirname(at); above !== '.'; above = path.posix.dirname(above)) if (view.bases.has(above)) return above;
  return undefined;
}
