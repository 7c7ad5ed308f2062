import { execFile } from 'node:child_process';
import { chmod, lstat, opendir, readdir, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf } from '../../base/thrown.ts';
import { SYSTEM_PATH } from '../spawn/tools.ts';

const run = promisify(execFile);

/** Directories that are emptied at once, and entries of each that are looked at and removed together. */
const DIRECTORIES_AT_ONCE = 4;
const ENTRIES_AT_ONCE = 128;

/**
 * Removes a file or a whole tree, directories without permissions and those deeper than any path can say included; what is
 * not there is fine. Links are not followed. Memory goes with the number of directories, not with that of files.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await removeInTurns(path);
  } catch {
    try {
      await makeRemovable(path);
      await removeInTurns(path).catch(() => {}); // whatever is in its way is met again
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      if (codeOf(error) !== 'ENAMETOOLONG') throw error;
      // A step makes such a tree by going down into it. These programs go down into it too, which a thread of ours cannot.
      await run('/bin/sh', ['-c', 'chmod -R u+rwx -- "$1"; exec rm -rf -- "$1"', 'sh', path], { env: { PATH: SYSTEM_PATH } });
    }
  }
}

/** As `rm` does, which begins with all files of a tree at once, and so has all of them in memory. @throws at the first obstacle */
async function removeInTurns(path: string): Promise<void> {
  const levels: string[][] = [];
  let level = await removeOne(path);
  while (level.length > 0) {
    levels.push(level);
    const below: string[] = [];
    await inTurns(level, DIRECTORIES_AT_ONCE, async (directory) => {
      for await (const inner of directoriesLeftOf(directory)) below.push(inner);
    });
    level = below;
  }
  for (const directories of levels.toReversed()) await inTurns(directories, ENTRIES_AT_ONCE, (directory) => unlessGone(rmdir(directory)));
}

/** Removes what is no directory, and says which one it is else. */
async function removeOne(path: string): Promise<string[]> {
  const stat = await unlessGone(lstat(path));
  if (stat?.isDirectory() === true) return [path];
  if (stat !== undefined) await unlessGone(unlink(path));
  return [];
}

/** Removes all files and links of a directory; the directories in it are left. */
async function* directoriesLeftOf(directory: string): AsyncGenerator<string, void, undefined> {
  let names: string[] = [];
  const remove = async () => {
    const some = names;
    names = [];
    await Promise.all(some.map((name) => unlessGone(unlink(join(directory, name)))));
  };
  for await (const entry of await opendir(directory, { bufferSize: ENTRIES_AT_ONCE })) {
    if (entry.isDirectory()) yield join(directory, entry.name);
    else names.push(entry.name);
    if (names.length >= ENTRIES_AT_ONCE) await remove();
  }
  await remove();
}

async function inTurns<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let item = items[next]; item !== undefined; item = items[next]) {
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}

async function unlessGone<T>(done: Promise<T>): Promise<T | undefined> {
  try {
    return await done;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** `rm` rejects at the first obstacle while it still removes elsewhere: entries may vanish under this walk. */
async function makeRemovable(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isDirectory()) return;
    await chmod(path, 0o700);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.isDirectory()) await makeRemovable(join(path, entry.name));
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
