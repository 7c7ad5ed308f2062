import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../../base/env.ts';
import { inOverlay, openOverlays, type OverlayTools } from '../../../agent/sandbox/overlay.ts';
import { openSpawner } from '../../../agent/spawn/spawner.ts';
import { findProgram } from '../../../agent/spawn/tools.ts';
import { quoteAll } from '../../../agent/spawn/words.ts';
import { openTier, type LocalTier } from '../../../agent/tier/tier.ts';
import { openWorkspaces, type StoredAs, type Workspace } from '../../../agent/workspace/workspace.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../../../cache/digest.ts';
import { boundAgentHeap } from '../../../cache/heap-flags.ts';
import { never } from './rig.ts';

/** Where placed trees lie in a workspace, unless said otherwise. */
export const PLACE = 'node_modules';

/** What an agent does with trees, over a directory of its own. */
export interface BenchAgent extends AsyncDisposable {
  readonly tier: LocalTier;
  /** A workspace with the tree at `PLACE`, as for a step; `stored` is what the entry says of it. */
  prepare(root: Digest, stored?: StoredAs): Promise<Workspace>;
}

/** Takes over what an earlier one left in `dir`. Without `overlays` trees are copied for each step. */
export async function openAgent(dir: string, store: BlobStore, overlays: OverlayTools | undefined, env: Env): Promise<BenchAgent> {
  boundAgentHeap(); // as the process of an agent does
  const tier = openTier({ dir: path.join(dir, 'tier'), maxBytes: 1e15, guarded: overlays !== undefined, env });
  const mounts = overlays === undefined ? undefined : openOverlays(overlays);
  const workspaces = await openWorkspaces({ dir: path.join(dir, 'workspaces'), tier, overlays: mounts, env });
  return {
    tier,
    prepare: async (root, stored) =>
      workspaces.prepare(
        { inputRoot: EMPTY_DIGEST, scope: 'main', workingDirectory: '', outputs: [], placed: [{ path: PLACE, root, stored }] },
        store,
        never,
      ),
    [Symbol.asyncDispose]: () => tier[Symbol.asyncDispose](),
  };
}

/** Runs commands of the host where a workspace's trees are mounted as the sandbox mounts them, by the small process that starts steps. */
export interface Mounts extends AsyncDisposable {
  readonly tools: OverlayTools;
  /** Of all commands so far. */
  readonly cpuSeconds: number;
  run(workspace: Workspace, command: readonly string[]): Promise<void>;
}

/** `dir` is for its own files. */
export async function openMounts(tools: OverlayTools, dir: string, env: Env): Promise<Mounts> {
  fs.mkdirSync(dir, { recursive: true });
  const spawner = await openSpawner({ marker: undefined, cgroups: [], scratch: dir }, env);
  let cpuMs = 0;
  return {
    tools,
    get cpuSeconds() {
      return cpuMs / 1_000;
    },
    async run(workspace, command) {
      const script = path.join(dir, 'command.sh');
      const words = quoteAll(inOverlay(tools, workspace.root, workspace.binds, command));
      fs.writeFileSync(script, `${words} </dev/null >${quoteAll([`${script}.log`])} 2>&1\n`);
      using launch = await spawner.launch(script);
      const end = await launch.ended;
      cpuMs += end.cpuMs;
      if (end.code !== 0) throw new Error(`${command.join(' ')} ended with ${end.code}: ${fs.readFileSync(`${script}.log`, 'utf8')}`);
    },
    [Symbol.asyncDispose]: () => spawner[Symbol.asyncDispose](),
  };
}

/** How overlays can be mounted here, found by mounting one below `dir`; undefined where they cannot. */
export function findOverlayTools(dir: string): OverlayTools | undefined {
  const unshare = findProgram('unshare');
  if (unshare === undefined) return undefined;
  const root = path.join(dir, 'probe/root');
  const from = path.join(dir, 'probe/lower/bound');
  for (const made of [root, from]) fs.mkdirSync(made, { recursive: true });
  for (const mode of ['root', 'user-namespace'] as const) {
    const [program = '', ...words] = inOverlay({ unshare, mode }, root, [{ from, to: 'bound' }], ['test', '-d', path.join(root, 'bound')]);
    try {
      execFileSync(program, words, { stdio: 'ignore' });
      return { unshare, mode };
    } catch {
      // The next way, then; that none works is said by the caller.
    }
  }
  return undefined;
}
