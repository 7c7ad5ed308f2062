import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Env } from '../../../base/env.ts';
import { inOverlay, openOverlays, type OverlayTools } from '../../../agent/sandbox/overlay.ts';
import { findProgram } from '../../../agent/spawn/tools.ts';
import { openTier, type LocalTier } from '../../../agent/tier/tier.ts';
import { openWorkspaces, type Workspace } from '../../../agent/workspace/workspace.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { EMPTY_DIGEST, type Digest } from '../../../cache/digest.ts';
import { never } from './rig.ts';

const run = promisify(execFile);

/** Where placed trees lie in a workspace, unless said otherwise. */
export const PLACE = 'node_modules';

/** What an agent does with trees, over a directory of its own. */
export interface BenchAgent extends AsyncDisposable {
  readonly tier: LocalTier;
  /** A workspace with the tree at `PLACE`, as for a step. */
  prepare(root: Digest): Promise<Workspace>;
}

/** Takes over what an earlier one left in `dir`. Without `overlays` trees are copied for each step. */
export async function openAgent(dir: string, store: BlobStore, overlays: OverlayTools | undefined, env: Env): Promise<BenchAgent> {
  const tier = openTier({ dir: path.join(dir, 'tier'), maxBytes: 1e15, guarded: overlays !== undefined, env });
  const mounts = overlays === undefined ? undefined : openOverlays(overlays);
  const workspaces = await openWorkspaces({ dir: path.join(dir, 'workspaces'), tier, overlays: mounts, env });
  return {
    tier,
    prepare: async (root) =>
      workspaces.prepare(
        { inputRoot: EMPTY_DIGEST, scope: 'main', workingDirectory: '', outputs: [], placed: [{ path: PLACE, root }] },
        store,
        never,
      ),
    [Symbol.asyncDispose]: () => tier[Symbol.asyncDispose](),
  };
}

/** Runs a command of the host's where the workspace's trees are mounted, as the sandbox mounts them. */
export async function runMounted(tools: OverlayTools, workspace: Workspace, command: readonly string[]): Promise<void> {
  const [program = '', ...words] = inOverlay(tools, workspace.root, workspace.binds, command);
  await run(program, words);
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
