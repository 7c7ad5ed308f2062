import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where system programs are on the systems we know. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The absolute path of the program `name` on `path` (directories separated by colons), or undefined. */
export function findProgram(name: string, path: string = SYSTEM_PATH): string | undefined {
  return findPrograms(name, path)[0];
}

/** Every program `name` on `path`, first come first. */
export function findPrograms(name: string, path: string): readonly string[] {
  return path
    .split(':')
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .filter(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
