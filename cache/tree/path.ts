import { Fault } from '../../base/fault.ts';
import { isEntryName } from './directory.ts';

/**
 * The names along a relative path, `.` and `..` worked out; [] for the tree's root.
 * @throws {Fault} PATH_ESCAPES where it leads out of the tree or is absolute; BAD_REQUEST where it holds a NUL byte.
 */
export function splitPath(path: string): string[] {
  const names: string[] = [];
  if (path.startsWith('/')) throw new Fault('PATH_ESCAPES', `"${path}" is absolute: paths in a tree are relative to its root`);
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (names.pop() === undefined) throw new Fault('PATH_ESCAPES', `"${path}" leads out of its tree`);
    } else if (isEntryName(name)) names.push(name);
    else throw new Fault('BAD_REQUEST', `${JSON.stringify(path)} is no path: it holds a NUL byte`);
  }
  return names;
}

/** `path` below `directory`, both relative to a tree's root, in its shortest form. @throws {Fault} as `splitPath`. */
export function joinPath(directory: string, path: string): string {
  if (path.startsWith('/')) splitPath(path);
  return splitPath(`${directory}/${path}`.replace(/^\//, '')).join('/');
}

/**
 * Whether a link at `path` with that target leads out of the tree, read as text: links on the way are not followed, so that
 * the answer is the same wherever the tree lies.
 */
export function linkEscapes(path: string, target: string): boolean {
  if (target.startsWith('/')) return true;
  let depth = path.split('/').length - 1;
  for (const name of target.split('/')) {
    if (name === '..') depth -= 1;
    else if (name !== '' && name !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}
