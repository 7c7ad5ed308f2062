import { execFile } from 'node:child_process';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf } from '../../base/thrown.ts';
import { SYSTEM_PATH } from '../spawn/tools.ts';

const run = promisify(execFile);

/**
 * Removes a file or a whole tree, directories without permissions and those deeper than any path can say included; what is
 * not there is fine. Links are not followed.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    try {
      await makeRemovable(path);
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      if (codeOf(error) !== 'ENAMETOOLONG') throw error;
      // A step makes such a tree by going down into it. These programs go down into it too, which a thread of ours cannot.
      await run('/bin/sh', ['-c', 'chmod -R u+rwx -- "$1"; exec rm -rf -- "$1"', 'sh', path], { env: { PATH: SYSTEM_PATH } });
    }
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
