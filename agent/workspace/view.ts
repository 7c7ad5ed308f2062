import path from 'node:path';
import type { BlobStore, ReadBlob } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../../cache/digest.ts';
import { findOpaque, type Present } from '../../cache/layer/opaque.ts';
import { saveTree, type Base, type SaveOptions, type SavedRoot } from '../../cache/layer/save.ts';
import { wholeTree } from '../../cache/layer/tree-message.ts';
import { UploadSink } from '../../cache/layer/upload-sink.ts';
import { DirectoryReader } from '../../cache/tree/directory-reader.ts';
import type { StoredAs } from './workspace.ts';

/** A workspace as it is found when its step has ended: what is on the host, and what was there before. */
export type WorkspaceView = {
  readonly root: string;
  /** By path relative to the root; none in another. */
  readonly bases: ReadonlyMap<string, Base>;
  /** Where the files of each base lie, absolute. */
  readonly places: ReadonlyMap<string, string>;
  /** What the store holds of bases, where that is known. */
  readonly stored: ReadonlyMap<string, StoredAs>;
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
  return { root, bases: new Map(), places: new Map(), stored: new Map(), readDirectory: nothing, present: nothing };
}

/** What was stored of a directory. */
export type StoredTree = SavedRoot & StoredAs & { readonly sentBytes: number; readonly files: ReadonlyMap<Digest, string> };

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
  const unchanged = saved.root === bases.get(at)?.root;
  const known = unchanged ? view.stored.get(at) : undefined;
  if (known !== undefined && (await store.findMissing([known.tree], signal)).length === 0) {
    await sink.finish();
    return { ...saved, ...known, sentBytes: sink.sentBytes, files: sink.files };
  }
  const read: ReadBlob = async (digest, stop) => sink.encoded.get(digest) ?? view.readDirectory(digest, stop);
  const whole = await wholeTree(saved.root, read, signal);
  await sink.directory(whole.tree, whole.message);
  await sink.finish();
  if (!unchanged) await completeFromBases(view, bases, whole.blobs, sink, store, signal);
  return { ...saved, tree: whole.tree, bytes: whole.bytes, sentBytes: sink.sentBytes, files: sink.files };
}

/** Digests per question: what stays well below the largest message. */
const ASKED_AT_ONCE = 10_000;

/**
 * Sends what the store has lost since the bases were fetched from it, so that a new tree is never promised in part. For all that it
 * has, the question is a use.
 */
async function completeFromBases(
  view: WorkspaceView,
  bases: ReadonlyMap<string, Base>,
  blobs: ReadonlySet<Digest>,
  sink: UploadSink,
  store: BlobStore,
  signal: AbortSignal,
): Promise<void> {
  if (bases.size === 0) return;
  const asked = [...blobs].filter((digest) => digest !== EMPTY_DIGEST && !sink.encoded.has(digest) && !sink.files.has(digest));
  const lost = new Set<Digest>();
  for (let at = 0; at < asked.length; at += ASKED_AT_ONCE)
    for (const digest of await store.findMissing(asked.slice(at, at + ASKED_AT_ONCE), signal)) lost.add(digest);
  const reader = new DirectoryReader(view.readDirectory);
  const waiting = lost.size === 0 ? [] : [...bases].map(([path, base]) => ({ at: view.places.get(path) ?? '', digest: base.root }));
  for (let next = waiting.pop(); next !== undefined && lost.size > 0; next = waiting.pop()) {
    const { at, digest } = next;
    const directory = await reader.one(digest, signal);
    if (lost.delete(digest)) await sink.directory(digest, await view.readDirectory(digest, signal));
    for (const file of directory.files) if (lost.delete(file.digest)) await sink.file(file.digest, path.join(at, file.name));
    for (const child of directory.directories) waiting.push({ at: path.join(at, child.name), digest: child.digest });
  }
  await sink.finish();
}

function isBelow(base: string, at: string): boolean {
  return at === '' || base === at || base.startsWith(`${at}/`);
}

/** Whether something that the inputs may hold at that path is only part of a base, so that looking at the host does not tell. */
export function baseAbove(view: WorkspaceView, at: string): string | undefined {
  for (let above = path.posix.dirname(at); above !== '.'; above = path.posix.dirname(above)) if (view.bases.has(above)) return above;
  return undefined;
}
