import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../base/thrown.ts';
import { isProject } from '../base/caller.ts';
import type { Env } from '../base/env.ts';

/** Results as versions before signed entries kept them: `results/<project>/<two digits>/<action's digest>.<hash of the scope>`. */
const RESULT = /^[0-9a-f]{64}-[0-9]+\.[0-9a-f]{32}$/;
/** What a writer of theirs left half-written. */
const TEMPORARY = /^[0-9a-f]{12}\.[0-9]+\.[0-9a-f]{16}$/;

/**
 * Removes the results of earlier versions, which nobody reads any more, below a data plane's directory: only where everything in there is
 * certainly such a result. Anything else leaves all of it as it is, and is said. Never rejects.
 */
export async function removeOldResults(dir: string, env: Pick<Env, 'log'>): Promise<void> {
  const path = join(dir, 'results');
  try {
    const names = await namesIn(path);
    if (names === undefined) return;
    const foreign = await foreignIn(path, names);
    if (foreign !== undefined) {
      env.log.warn('old-results-kept', {
        path,
        foreign,
        hint: 'No version of ours reads this directory: remove it, or move what is yours.',
      });
      return;
    }
    await rm(path, { recursive: true, force: true });
    env.log.info('old-results-removed', { path });
  } catch (error) {
    env.log.warn('old-results-kept', { path, error });
  }
}

/** The first thing that was not made by us; undefined where there is none. */
async function foreignIn(path: string, projects: readonly string[]): Promise<string | undefined> {
  if (!projects.includes('.tmp')) return path; // every version made it first
  for (const project of projects) {
    const place = join(path, project);
    if (project === '.tmp') {
      const foreign = await foreignFile(place, TEMPORARY);
      if (foreign !== undefined) return foreign;
      continue;
    }
    if (!isProject(project)) return place;
    for (const prefix of (await namesIn(place)) ?? []) {
      const foreign = /^[0-9a-f]{2}$/.test(prefix) ? await foreignFile(join(place, prefix), RESULT, prefix) : join(place, prefix);
      if (foreign !== undefined) return foreign;
    }
  }
  return undefined;
}

async function foreignFile(parent: string, form: RegExp, prefix = ''): Promise<string | undefined> {
  for (const name of (await namesIn(parent)) ?? []) {
    const file = join(parent, name);
    if (!form.test(name) || !name.startsWith(prefix) || !(await lstat(file)).isFile()) return file;
  }
  return undefined;
}

/** Undefined where there is no such directory. */
async function namesIn(path: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
