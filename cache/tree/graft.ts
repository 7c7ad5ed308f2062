import { Fault } from '../../base/fault.ts';
import type { OutputEntry } from '../action/result.ts';
import type { ReadBlob } from '../blob-store.ts';
import { EMPTY_DIGEST, digestOf, type Digest } from '../digest.ts';
import { EMPTY_DIRECTORY, decodeDirectory, encodeDirectory, sortedDirectory, type Directory } from './directory.ts';
import { joinPath } from './path.ts';
import type { NodeProperties } from './properties.ts';

export type Grafted = {
  readonly root: Digest;
  /** The directories that the base tree did not have; they must go into the store. */
  readonly added: ReadonlyMap<Digest, Uint8Array>;
};

type Wanted =
  | (Exclude<OutputEntry, { kind: 'directory' }> & { readonly properties?: NodeProperties })
  | { readonly kind: 'directory'; readonly root: Digest };

/** What is to be put at a place: a thing, or more below it, or (a directory that gets more inside) both. */
type Place = { wanted: Wanted | undefined; readonly below: Map<string, Place> };

/**
 * The tree `base` with another step's outputs in it, at their paths below the directory `at`. Directories are merged; what
 * is the same in both stays. Only directories on the way and merged ones are read.
 * @throws {Fault} BAD_REQUEST naming the path where two different things would be; PATH_ESCAPES; whatever `read` throws.
 */
export async function graftOutputs(
  base: Digest,
  at: string,
  entries: readonly OutputEntry[],
  read: ReadBlob,
  signal: AbortSignal,
): Promise<Grafted> {
  const added = new Map<Digest, Uint8Array>();
  const reader = async (digest: Digest): Promise<Directory> => {
    if (digest === EMPTY_DIGEST) return EMPTY_DIRECTORY;
    return decodeDirectory(added.get(digest) ?? (await read(digest, signal)));
  };
  let root = base;
  // One at a time: entries may overlap, and each merge sees what the one before it made.
  for (const place of planPlaces(at, entries)) root = (await merge(root, place, '', { read: reader, added })).digest;
  return { root, added };
}

type Context = { readonly read: (digest: Digest) => Promise<Directory>; readonly added: Map<Digest, Uint8Array> };

/** All entries in one plan; those that meet an earlier entry at their path come in a plan of their own. */
function planPlaces(at: string, entries: readonly OutputEntry[]): Place[] {
  const plans: Place[] = [];
  for (const entry of entries) {
    const names = joinPath(at, entry.path)
      .split('/')
      .filter((name) => name !== '');
    if (names.length === 0 && entry.kind !== 'directory') throw clash(entry.path, entry.kind, 'directory');
    const wanted: Wanted = entry.kind === 'directory' ? { kind: 'directory', root: entry.root } : entry;
    if (!plans.some((plan) => put(plan, names, wanted))) {
      const plan: Place = { wanted: undefined, below: new Map() };
      put(plan, names, wanted);
      plans.push(plan);
    }
  }
  return plans;
}

/** Whether `wanted` found its place in the plan free. */
function put(plan: Place, names: readonly string[], wanted: Wanted): boolean {
  let place = plan;
  for (const name of names) {
    if (place.wanted !== undefined && place.wanted.kind !== 'directory') return false;
    let next = place.below.get(name);
    if (next === undefined) {
      next = { wanted: undefined, below: new Map() };
      place.below.set(name, next);
    }
    place = next;
  }
  if (place.wanted !== undefined || (place.below.size > 0 && wanted.kind !== 'directory')) return false;
  place.wanted = wanted;
  return true;
}

async function merge(base: Digest, place: Place, path: string, context: Context): Promise<{ readonly digest: Digest }> {
  let digest = base;
  if (place.wanted?.kind === 'directory') digest = await union(digest, place.wanted.root, path, context);
  if (place.below.size === 0) return { digest };
  let directory = await context.read(digest);
  for (const [name, child] of place.below)
    directory = await mergeChild(directory, name, child, path === '' ? name : `${path}/${name}`, context);
  return { digest: store(directory, context) };
}

async function mergeChild(directory: Directory, name: string, place: Place, path: string, context: Context): Promise<Directory> {
  const there = entryNamed(directory, name);
  const { wanted } = place;
  if (wanted === undefined || wanted.kind === 'directory') {
    if (there !== undefined && there.kind !== 'directory') throw clash(path, 'directory', there.kind);
    const { digest } = await merge(there?.digest ?? EMPTY_DIGEST, place, path, context);
    // An empty directory that something new begins with is encoded to no bytes, hence EMPTY_DIGEST: nothing to store.
    return { ...directory, directories: [...directory.directories.filter((node) => node.name !== name), { name, digest }] };
  }
  if (there !== undefined) {
    if (sameEntry(there, wanted)) return directory;
    throw clash(path, wanted.kind, there.kind);
  }
  if (wanted.kind === 'file')
    return {
      ...directory,
      files: [...directory.files, { name, digest: wanted.digest, executable: wanted.executable, ...propertiesOf(wanted) }],
    };
  return { ...directory, symlinks: [...directory.symlinks, { name, target: wanted.target, ...propertiesOf(wanted) }] };
}

/** Both trees in one. */
async function union(left: Digest, right: Digest, path: string, context: Context): Promise<Digest> {
  if (left === right || right === EMPTY_DIGEST) return left;
  if (left === EMPTY_DIGEST) return right;
  let directory = await context.read(left);
  const other = await context.read(right);
  const below = (name: string) => (path === '' ? name : `${path}/${name}`);
  for (const node of other.directories) {
    const there = entryNamed(directory, node.name);
    if (there !== undefined && there.kind !== 'directory') throw clash(below(node.name), 'directory', there.kind);
    const digest = there === undefined ? node.digest : await union(there.digest, node.digest, below(node.name), context);
    directory = {
      ...directory,
      directories: [...directory.directories.filter(({ name }) => name !== node.name), { name: node.name, digest }],
    };
  }
  const leaves = (from: Directory): Wanted[] => [
    ...from.files.map((file) => ({ kind: 'file' as const, path: file.name, ...file })),
    ...from.symlinks.map((link) => ({ kind: 'symlink' as const, path: link.name, ...link })),
  ];
  for (const leaf of leaves(other)) {
    if (leaf.kind === 'directory') continue;
    directory = await mergeChild(directory, leaf.path, { wanted: leaf, below: new Map() }, below(leaf.path), context);
  }
  return store(directory, context);
}

/** Entries of a merged directory keep their properties; a step's own outputs have none. */
function propertiesOf(wanted: Wanted): { readonly properties?: NodeProperties } {
  return 'properties' in wanted && wanted.properties !== undefined ? { properties: wanted.properties } : {};
}

type There =
  | { readonly kind: 'file'; readonly digest: Digest; readonly executable: boolean }
  | { readonly kind: 'directory'; readonly digest: Digest }
  | { readonly kind: 'symlink'; readonly target: string };

function entryNamed(directory: Directory, name: string): There | undefined {
  const file = directory.files.find((node) => node.name === name);
  if (file !== undefined) return { kind: 'file', digest: file.digest, executable: file.executable };
  const child = directory.directories.find((node) => node.name === name);
  if (child !== undefined) return { kind: 'directory', digest: child.digest };
  const link = directory.symlinks.find((node) => node.name === name);
  return link === undefined ? undefined : { kind: 'symlink', target: link.target };
}

function sameEntry(there: There, wanted: Exclude<Wanted, { kind: 'directory' }>): boolean {
  if (there.kind === 'file' && wanted.kind === 'file') return there.digest === wanted.digest && there.executable === wanted.executable;
  return there.kind === 'symlink' && wanted.kind === 'symlink' && there.target === wanted.target;
}

function store(directory: Directory, context: Context): Digest {
  const bytes = encodeDirectory(sortedDirectory(directory));
  const digest = digestOf(bytes);
  if (digest !== EMPTY_DIGEST) context.added.set(digest, bytes);
  return digest;
}

function clash(path: string, wanted: string, there: string): Fault {
  const what = wanted === there ? `two different ${wanted === 'directory' ? 'directories' : `${wanted}s`}` : `a ${wanted} and a ${there}`;
  return new Fault('BAD_REQUEST', `"${path}": ${what} would be at this path of the input tree`, {
    hint: 'Let the step make it somewhere else, or leave it out of the inputs.',
  });
}
