import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf } from '../../base/thrown.ts';
import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import { buildTree, type BlobSource, type BuiltTree, type TreeEntry } from './build.ts';
import { hashFile } from './hash-file.ts';
import { linkEscapes } from './path.ts';
import type { StatIndex } from './stat-index.ts';

export type EntryKind = 'file' | 'directory' | 'symlink';

export type ScanOptions = {
  /** Whether an entry belongs to the tree; a directory that does not is not entered. `path` is relative to the root. */
  readonly select?: (path: string, kind: EntryKind) => boolean;
  /** Makes unchanged files cheap: they are not read again. */
  readonly statIndex?: StatIndex;
  /** Whether directories in which nothing was selected are part of the tree. @default 'keep' */
  readonly emptyDirectories?: 'keep' | 'drop';
  /** What becomes of links that lead out of the tree. @default 'refuse' */
  readonly escapingLinks?: 'refuse' | 'keep';
  /** Where the root lies below the tree that links must not leave, as in `dist`. @default '' */
  readonly within?: string;
};

/** A scanned entry, and for a file where it is. */
export type ScannedEntry = TreeEntry & { readonly source?: string };

export type ScannedTree = BuiltTree & {
  /** Everything that a store needs for the tree: files and directories. */
  readonly blobs: ReadonlyMap<Digest, BlobSource>;
};

/** How much is done before other work of the process gets its turn. */
const TURN = { entries: 512, bytes: 16 * 1024 * 1024 };

/**
 * The tree below `root`, as it is now. Links stay links and are never followed; the root itself may be one.
 * @throws {Fault} PATH_ESCAPES for a link out of the tree; BAD_REQUEST for what is neither file, directory nor link, for a
 * name that is not UTF-8, for a file that keeps changing while it is read, or where something cannot be read.
 */
export async function scanTree(root: string, options: ScanOptions, signal: AbortSignal): Promise<ScannedTree> {
  return treeOfEntries(await scanEntries(root, options, signal));
}

/** The tree of some scanned entries. */
export function treeOfEntries(entries: Iterable<ScannedEntry>): ScannedTree {
  const list = [...entries];
  const tree = buildTree(list);
  const blobs = new Map<Digest, BlobSource>();
  for (const [digest, bytes] of tree.encoded) blobs.set(digest, { kind: 'bytes', bytes });
  for (const entry of list) {
    if (entry.kind === 'file' && entry.source !== undefined) blobs.set(entry.digest, { kind: 'file', path: entry.source });
  }
  return { ...tree, blobs };
}

/** What `scanTree` finds, before it becomes a tree: for making several trees of one scan. Throws as `scanTree`. */
export async function scanEntries(root: string, options: ScanOptions, signal: AbortSignal): Promise<readonly ScannedEntry[]> {
  const top = path.resolve(root);
  const found: ScannedEntry[] = [];
  const waiting: string[] = [''];
  const turn = { entries: 0, bytes: 0 };
  for (let relative = waiting.pop(); relative !== undefined; relative = waiting.pop()) {
    signal.throwIfAborted();
    if (relative !== '' && options.emptyDirectories !== 'drop') found.push({ kind: 'directory', path: relative });
    for (const entry of listDirectory(path.join(top, relative), relative)) {
      const at = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const kind = kindOf(entry, at);
      if (kind === undefined || options.select?.(at, kind) === false) {
        if (kind === undefined && options.select?.(at, 'file') !== false) throw special(at);
        continue;
      }
      turn.entries += 1;
      if (kind === 'directory') waiting.push(at);
      else if (kind === 'symlink') found.push(scanLink(top, at, options));
      else found.push(await scanFile(top, at, options.statIndex, turn, signal));
      if (turn.entries >= TURN.entries || turn.bytes >= TURN.bytes) {
        turn.entries = turn.bytes = 0;
        await nextTurn(undefined, { signal });
      }
    }
  }
  return found;
}

/** What is in a directory. @throws {Fault} BAD_REQUEST naming `relative` where it cannot be read or holds a name that is not UTF-8. */
export function listDirectory(absolute: string, relative: string): fs.Dirent[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(absolute, { withFileTypes: true });
  } catch (error) {
    throw unreadable(relative === '' ? absolute : relative, error);
  }
  // What is not UTF-8 comes as U+FFFD, which is also a character of its own: only then the bytes tell.
  if (entries.some((entry) => entry.name.includes('\ufffd'))) {
    for (const name of fs.readdirSync(absolute, { encoding: 'buffer' })) {
      if (!Buffer.from(name.toString()).equals(name)) {
        throw new Fault(
          'BAD_REQUEST',
          `"${relative}": it holds an entry whose name is not UTF-8 (${JSON.stringify(name.toString('latin1'))})`,
          {
            hint: 'Rename or ignore it.',
          },
        );
      }
    }
  }
  return entries;
}

function kindOf(entry: fs.Dirent, at: string): EntryKind | undefined {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  if (entry.isSymbolicLink()) return 'symlink';
  if (entry.isSocket() || entry.isFIFO() || entry.isBlockDevice() || entry.isCharacterDevice()) return undefined;
  throw new Fault('BAD_REQUEST', `"${at}": the file system does not say what it is`);
}

/** The refusal of what no tree can hold. */
export function special(at: string): Fault {
  return new Fault('BAD_REQUEST', `"${at}" is a socket, a pipe or a device: a tree holds files, directories and links only`, {
    hint: 'Remove or ignore it.',
  });
}

function scanLink(top: string, at: string, options: ScanOptions): ScannedEntry {
  let target: string;
  try {
    target = fs.readlinkSync(path.join(top, at));
  } catch (error) {
    throw unreadable(at, error);
  }
  const within = options.within === undefined || options.within === '' ? at : `${options.within}/${at}`;
  if (options.escapingLinks !== 'keep' && linkEscapes(within, target)) {
    throw new Fault('PATH_ESCAPES', `"${at}" is a link to "${target}", which is out of the tree`, {
      hint: 'Make it a relative link that stays inside, or leave it out.',
    });
  }
  return { kind: 'symlink', path: at, target };
}

async function scanFile(
  top: string,
  at: string,
  index: StatIndex | undefined,
  turn: { bytes: number },
  signal: AbortSignal,
): Promise<ScannedEntry> {
  const source = path.join(top, at);
  try {
    const stat = fs.lstatSync(source, { bigint: true });
    const executable = (stat.mode & 0o100n) !== 0n;
    const known = index?.lookup(source, stat);
    if (known !== undefined) return { kind: 'file', path: at, digest: known, executable, source };
    const hashed = await hashFile(source, index?.now(), signal);
    turn.bytes += Number(stat.size);
    index?.record(source, hashed);
    return { kind: 'file', path: at, digest: hashed.digest, executable, source };
  } catch (error) {
    throw error instanceof Fault || signal.aborted ? error : unreadable(at, error);
  }
}

/** The refusal of what cannot be read. */
export function unreadable(at: string, error: unknown): Fault {
  return new Fault('BAD_REQUEST', `"${at}" cannot be read (${codeOf(error) ?? String(error)})`, { cause: error });
}
