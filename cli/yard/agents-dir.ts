import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/**
 * Where the agents of the yard at `stateDir` work: below the user's cache directory, and not in the work tree that the yard
 * is for. Where the sandbox does not hide the host's files, tools look for their settings in the directories above: an
 * ignore file of the work tree, its `node_modules` or its yard would be there. In `stateDir` where that cannot be.
 */
export function agentsDir(stateDir: string, env: Readonly<Record<string, string | undefined>>): string {
  const inside = path.join(stateDir, 'agents');
  const home = env['HOME'] ?? '';
  const cache = [env['XDG_CACHE_HOME'] ?? '', home === '' ? '' : path.join(home, '.cache')].find((dir) => path.isAbsolute(dir));
  if (cache === undefined) return inside;
  const owner = path.dirname(stateDir);
  const hash = createHash('sha256').update(stateDir).digest('hex').slice(0, 12);
  const dir = path.join(cache, 'switchyard', `${path.basename(owner)}-${hash}`);
  if (dir.startsWith(owner + path.sep)) return inside;
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    fs.accessSync(dir, fs.constants.W_OK);
    return dir;
  } catch {
    return inside; // a home that is not there, or not ours to write
  }
}
