import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../fixtures/root.ts';
import { output, run } from './run.ts';

/** Where downloaded packages stay between runs; nothing of it is installed. */
const TOOLS = join(ROOT, '.cache/tools/debian');

/**
 * The files of Debian packages, each the path of a `.deb`, with everything that they depend on: all of it for `whole`,
 * which makes a root directory; for `beside-host` only what this host has not installed. Nothing is installed and no right
 * of root is needed: apt only resolves and downloads, from the mirrors that the host is set up with.
 * @throws {Error} where this is no Debian, or its mirrors do not answer.
 */
export async function downloadPackages(names: readonly string[], scope: 'whole' | 'beside-host'): Promise<readonly string[]> {
  const [archives, empty] = [join(TOOLS, 'archives'), join(TOOLS, 'empty')];
  for (const dir of [archives, empty, join(TOOLS, 'lists')]) await mkdir(join(dir, 'partial'), { recursive: true });
  const nothing = join(TOOLS, 'nothing-installed');
  await writeFile(nothing, '');
  const settings = ['-qq', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root'];
  if (scope === 'whole') settings.push('-o', `Dir::State::status=${nothing}`);
  const install = ['--no-install-recommends', '--yes', 'install', ...names];
  // The host's own lists of packages may be missing or old; then ours are used, which leave those alone.
  const ownLists = ['-o', `Dir::State::lists=${join(TOOLS, 'lists')}`];
  for (const lists of [[], ownLists]) {
    if (lists.length > 0) await output('apt-get', [...settings, ...lists, 'update']);
    // apt names only what it has yet to download: before an empty directory, that is everything.
    const listed = await run('apt-get', [...settings, ...lists, '-o', `Dir::Cache::archives=${empty}`, '--print-uris', ...install]);
    const fetch = [...settings, ...lists, '-o', `Dir::Cache::archives=${archives}`, '--download-only', ...install];
    const fetched = listed.code === 0 ? await run('apt-get', fetch) : listed;
    if (fetched.code === 0)
      return listed.stdout
        .split('\n')
        .flatMap((line) => line.split(' ')[1] ?? [])
        .map((name) => join(archives, name));
    if (lists.length > 0) throw new Error(`Cannot download ${names.join(', ')} from Debian's mirrors:\n${fetched.stderr}`);
  }
  return [];
}

/** Unpacks packages into `root`, over the links of a merged `/usr` where it has them. No script of theirs runs. */
export async function unpackPackages(files: readonly string[], root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  const script = 'set -eu; root=$1; shift; for f; do dpkg-deb --fsys-tarfile "$f" | tar -x --keep-directory-symlink -C "$root"; done';
  await output('bash', ['-o', 'pipefail', '-c', script, 'unpack', root, ...files]);
}
