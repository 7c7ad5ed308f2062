import { mkdirSync } from 'node:fs';
import type { Env } from '../../base/env.ts';
import { openSpawner } from '../spawn/spawner.ts';
import { removeTree } from '../workspace/remove.ts';
import type { AttemptHost } from './attempt.ts';
import { openCgroups } from './cgroup.ts';
import { PIDS_COUNT_MAX } from './limits.ts';

export type OpenedHost = {
  readonly host: AttemptHost;
  /** Why there are no control groups, where there are none. */
  readonly reason: ReturnType<typeof openCgroups>['reason'];
};

/** Makes `dir` anew and opens what all attempts of a sandbox share; `undo` takes it down again. */
export async function openAttemptHost(dir: string, marker: string | undefined, env: Env, undo: AsyncDisposableStack): Promise<OpenedHost> {
  await removeTree(dir);
  mkdirSync(dir, { recursive: true });
  const { cgroups, reason } = openCgroups();
  if (cgroups !== undefined) undo.use(cgroups);
  const spawner = undo.use(await openSpawner({ marker, cgroups: cgroups?.directories ?? [], scratch: dir }, env));
  return { host: { spawner, cgroups, dir, pidsCountMax: PIDS_COUNT_MAX, marker, env }, reason };
}
