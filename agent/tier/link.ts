import fs from 'node:fs';
import { codeOf } from '../../base/thrown.ts';

type Link = (existing: string, made: string) => void;

/**
 * Makes `target` one more name of `blob`; whether that could be. A blob with as many names as the file system allows is replaced by a copy
 * first, which takes the next ones: dependency trees hold the same file thousands of times, and some file systems stop at 65,000.
 */
export function linkOrRotate(blob: string, target: string, newPath: () => string, link: Link = fs.linkSync): boolean {
  const failure = tryLink(blob, target, link);
  if (failure !== 'EMLINK') return failure === undefined;
  const fresh = newPath();
  const { atimeMs, mtimeMs, mode } = fs.statSync(blob);
  fs.copyFileSync(blob, fresh, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE);
  fs.chmodSync(fresh, mode & 0o777);
  fs.utimesSync(fresh, atimeMs / 1_000, mtimeMs / 1_000);
  fs.renameSync(fresh, blob);
  return tryLink(blob, target, link) === undefined;
}

/** The code of the error where links cannot be made here: too many, another file system, forbidden. */
function tryLink(blob: string, target: string, link: Link): string | undefined {
  try {
    link(blob, target);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EMLINK' || code === 'EXDEV' || code === 'EPERM' || code === 'ENOENT') return code;
    throw error;
  }
}
