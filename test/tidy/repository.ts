import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../fixtures/root.ts';
import type { Source } from './source.ts';

const SKIPPED_DIRECTORIES = new Set(['.git', 'node_modules', '.switchyard', '.cache', 'dist', 'coverage']);

/** Paths of the files that belong to the repository: what git tracks or would, or everything where there is no git. */
export function repositoryFiles(): readonly string[] {
  const args = ['-C', ROOT, '-c', `safe.directory=${ROOT}`, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const git = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
  if (git.status === 0 && git.stdout !== '')
    return [...new Set(git.stdout.split('\0'))].filter((path) => path !== '' && isFile(path)).toSorted();
  return walk(ROOT).toSorted();
}

/** The text files among them. */
export function repositorySources(): readonly Source[] {
  return repositoryFiles().flatMap((path) => {
    const bytes = readFileSync(join(ROOT, path));
    return bytes.subarray(0, 8_000).includes(0) ? [] : [{ path, text: bytes.toString('utf8') }];
  });
}

function isFile(path: string): boolean {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() === true;
}

function walk(dir: string): readonly string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return SKIPPED_DIRECTORIES.has(entry.name) ? [] : walk(path);
    return entry.isFile() ? [relative(ROOT, path)] : [];
  });
}
