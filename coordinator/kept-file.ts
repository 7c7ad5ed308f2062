import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { codeOf } from '../base/thrown.ts';
import { wrap } from '../base/fault.ts';

/**
 * The text of a small private file, which is made by whoever comes first: also where several processes come at once, all get the
 * same. `make` gives the text of a new one. What `isGood` refuses is replaced.
 * @throws {Fault} INTERNAL naming the file, where it can neither be read nor made
 */
export async function keptFile(path: string, make: () => string, isGood: (text: string) => boolean): Promise<string> {
  try {
    const known = await readText(path);
    if (known !== undefined && isGood(known)) return known;
    if (known !== undefined) await rm(path, { force: true });
    const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
    await writeFile(temporary, `${make()}\n`, { mode: 0o600, flag: 'wx' });
    try {
      await link(temporary, path); // takes no place that is taken
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw wrap(error, `Keeping ${path}`);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
