import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf } from '../../base/thrown.ts';
import { mtimeOf } from '../tree/place.ts';
import type { FileWriters } from './file-writers.ts';

/** A directory and its copy, which is there and empty, for its maker alone. */
export type LinkedDirectory = { readonly from: string; readonly to: string };

type Link = (existing: string, made: string) => void;

/** Trees of fewer entries are linked here: a thread takes longer to start. */
const HERE_ENTRIES_MAX = 2_048;
const ENTRIES_PER_TURN = 128;
/** Directories that one call gives a thread. */
const DIRECTORIES_TOGETHER = 64;

/**
 * Makes `to`, which must not exist, a copy of the tree at `from` that shares its files, as hard links: by all threads at once, from the
 * directories as they lie on the disk, so that nothing is looked up or read. Nobody may change `from` meanwhile, or write into either
 * afterwards. On an error `to` is there in part.
 */
export async function linkTree(from: string, to: string, writers: FileWriters, signal: AbortSignal): Promise<void> {
  fs.mkdirSync(to, { mode: 0o700 });
  let waiting: LinkedDirectory[] = [{ from, to }];
  for (let done = 0; waiting.length > 0 && done < HERE_ENTRIES_MAX; done += ENTRIES_PER_TURN) {
    waiting = linkDirectories(waiting, ENTRIES_PER_TURN);
    await nextTurn(undefined, { signal });
  }
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  while ((waiting.length > 0 || underWay.size > 0) && failure === undefined) {
    while (waiting.length > 0 && underWay.size < writers.count) {
      const task: Promise<void> = writers
        .link(waiting.splice(-DIRECTORIES_TOGETHER))
        .then((left) => {
          for (const directory of left) waiting.push(directory);
        })
        .catch((error: unknown) => void (failure ??= { error }))
        .finally(() => underWay.delete(task));
      underWay.add(task);
    }
    await Promise.race(underWay);
    if (signal.aborted) failure ??= { error: signal.reason };
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure.error;
}

/** Links the directories, and those below them, until about as many entries are made; the directories that are left. Waits for nothing. */
export function linkDirectories(directories: readonly LinkedDirectory[], entriesMax: number, link: Link = fs.linkSync): LinkedDirectory[] {
  const waiting = [...directories];
  for (let made = 0; made < entriesMax;) {
    const next = waiting.pop();
    if (next === undefined) break;
    made += linkOne(next, waiting, link);
  }
  return waiting;
}

/** The entries of one directory, then its mode and time; what is below its directories is left to `waiting`. */
function linkOne({ from, to }: LinkedDirectory, waiting: LinkedDirectory[], link: Link): number {
  const entries = fs.readdirSync(from, { withFileTypes: true });
  for (const entry of entries) {
    const there = `${from}/${entry.name}`;
    const made = `${to}/${entry.name}`;
    if (entry.isFile()) linkOrCopy(there, made, link);
    else if (entry.isDirectory()) {
      fs.mkdirSync(made, { mode: 0o700 });
      waiting.push({ from: there, to: made });
    } else fs.symlinkSync(fs.readlinkSync(there), made); // trees hold nothing else
  }
  makeAlike(to, fs.lstatSync(from, { bigint: true }));
  return entries.length + 1;
}

/** A file with as many names as the file system allows is copied; the copy lends itself to the next ones. */
function linkOrCopy(there: string, made: string, link: Link): void {
  try {
    link(there, made);
  } catch (error) {
    if (codeOf(error) !== 'EMLINK') throw error;
    fs.copyFileSync(there, made, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE);
    makeAlike(made, fs.lstatSync(there, { bigint: true }));
  }
}

function makeAlike(made: string, { mode, mtimeNs }: fs.BigIntStats): void {
  fs.chmodSync(made, Number(mode & 0o777n));
  const mtimeS = mtimeOf(Number(mtimeNs / 1_000n));
  fs.utimesSync(made, mtimeS, mtimeS);
}
