import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadPackages, unpackPackages } from '../fixtures/debian.ts';
import { toolDir } from '../fixtures/tool-dir.ts';

/** The release of Debian that has buildbox. */
const RELEASE = 'forky';

/**
 * What stands before a program of Debian's buildbox (recc, trexe, ...) so that it runs on this host with libraries of its own, and what
 * it starts, the compiler among that, with the host's. It is unpacked below `.cache/tools`.
 * @throws {Error} where no mirror answers
 */
export async function buildbox(program: string): Promise<readonly string[]> {
  const root = await toolDir(`buildbox-${RELEASE}-${process.arch}`, async (into, work) => {
    await unpackPackages(await downloadPackages(['buildbox'], 'whole', work, RELEASE), into);
  });
  const library = join(root, 'usr/lib');
  const libraries = (await readdir(library)).filter((name) => name.endsWith('-linux-gnu')).map((name) => join(library, name));
  const loader = (await readdir(libraries[0] ?? library)).find((name) => name.startsWith('ld-linux'));
  return [join(libraries[0] ?? library, loader ?? ''), '--library-path', libraries.join(':'), join(root, 'usr/bin', program)];
}
