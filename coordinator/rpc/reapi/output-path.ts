import { Fault } from '../../../base/fault.ts';
import { joinPath } from '../../../cache/tree/path.ts';
import { brief } from '../fields.ts';

/**
 * An output's path in its shortest form, from the working directory on: `.` for that itself, `..` only at the beginning.
 * @throws {Fault} PATH_ESCAPES where it leads out of the input root; BAD_REQUEST where it is no path
 */
export function outputPath(workingDirectory: string, path: string, field: string): string {
  const refused = (why: string) =>
    new Fault('PATH_ESCAPES', `${field} "${brief(path)}" ${why}`, { field, hint: 'Outputs lie below the root of the inputs.' });
  if (path.startsWith('/')) throw refused('is absolute');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..' && names.length > 0 && names.at(-1) !== '..') names.pop();
    else names.push(name);
  }
  const shortest = names.length === 0 ? '.' : names.join('/');
  try {
    joinPath(workingDirectory, shortest);
  } catch (error) {
    throw error instanceof Fault && error.code === 'BAD_REQUEST' ? error : refused('leads out of the input root');
  }
  return shortest;
}
