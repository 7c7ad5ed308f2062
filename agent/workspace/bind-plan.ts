import { EMPTY_DIGEST, digestOf, type Digest } from '../../cache/digest.ts';
import { encodeDirectory, type Directory } from '../../cache/tree/directory.ts';
import type { Shape } from './shape.ts';

/** A subdirectory is shared rather than copied from this size on: below, copying is as fast as mounting. */
const FILES_COUNT_MIN = 256;
const BYTES_MIN = 16 * 1024 * 1024;
/** A directory is taken apart where its large subdirectories hold at least this share of it: they change less often. */
const APART_SHARE = 0.9;
/** Each costs a mount per step. */
const BINDS_COUNT_MAX = 16;

/** A large subdirectory that a step can share with others. */
export type BoundTree = { readonly path: string; readonly root: Digest };

export type BindsWanted = {
  readonly written: readonly string[];
  readonly workingDirectory: string;
  readonly replaced: readonly string[];
  /** Where false, nothing is bound. */
  readonly canBind: boolean;
};

export type BindPlan = {
  readonly bound: readonly BoundTree[];
  /** The root of the rest: the input tree with an empty directory in the place of each bound one. */
  readonly root: Digest;
  /** The directories that are only in that rest. */
  readonly made: ReadonlyMap<Digest, Uint8Array>;
};

/**
 * Chooses the large subdirectories of an input tree that are to be bound, and empties those at `replaced`, where other trees go. One
 * that holds one of `written` (outputs), of `replaced` or `workingDirectory` is taken apart, so that these are found on the host;
 * one that is an output, or lies in one, can be bound.
 */
export function planBinds(root: Digest, shapeOf: (digest: Digest) => Shape, wanted: BindsWanted): BindPlan {
  const { written, workingDirectory, replaced, canBind } = wanted;
  const holds = (path: string) =>
    [...written, ...replaced].some((other) => other !== path && isWithin(other, path)) || isWithin(workingDirectory, path);
  const bound: BoundTree[] = [];
  const visit = (path: string, digest: Digest): void => {
    const shape = shapeOf(digest);
    if (!isLarge(shape) || bound.length >= BINDS_COUNT_MAX) return;
    const large = shape.directory.directories.filter((child) => isLarge(shapeOf(child.digest)));
    const held = large.reduce((sum, child) => sum + shapeOf(child.digest).fileCount, 0);
    if (replaced.includes(path)) return;
    const apart = path === '' || holds(path) || (large.length > 0 && held >= APART_SHARE * shape.fileCount);
    if (!apart) bound.push({ path, root: digest });
    else for (const child of large) visit(path === '' ? child.name : `${path}/${child.name}`, child.digest);
  };
  if (canBind) visit('', root);
  const made = new Map<Digest, Uint8Array>();
  return { bound, root: without(root, new Set([...bound.map((tree) => tree.path), ...replaced]), '', shapeOf, made), made };
}

function isLarge(shape: Shape): boolean {
  return shape.fileCount >= FILES_COUNT_MIN || shape.bytes >= BYTES_MIN;
}

/** Whether `path` is `directory` or lies in it. */
function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

/** The tree with the directories at `paths` emptied. */
function without(
  digest: Digest,
  paths: ReadonlySet<string>,
  at: string,
  shapeOf: (digest: Digest) => Shape,
  made: Map<Digest, Uint8Array>,
): Digest {
  if (paths.has(at)) return EMPTY_DIGEST;
  if (![...paths].some((path) => isWithin(path, at))) return digest;
  const { directory } = shapeOf(digest);
  const changed: Directory = {
    ...directory,
    directories: directory.directories.map((child) => ({
      name: child.name,
      digest: without(child.digest, paths, at === '' ? child.name : `${at}/${child.name}`, shapeOf, made),
    })),
  };
  const bytes = encodeDirectory(changed);
  const encoded = digestOf(bytes);
  made.set(encoded, bytes);
  return encoded;
}
