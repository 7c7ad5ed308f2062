import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { openSpawner } from '../spawn/spawner.ts';
import { findProgram, findPrograms } from '../spawn/tools.ts';
import { removeTree } from '../workspace/remove.ts';
import { runAttempt, type AttemptHost } from './attempt.ts';
import { bubblewrapPlan, type BubblewrapOptions, type OverlayMode } from './bubblewrap.ts';
import { openCgroups } from './cgroup.ts';
import { isVisible, kernelSettingsBinds, makeStepEtc, systemBinds } from './host-files.ts';
import { limitTraits, PIDS_COUNT_MAX } from './limits.ts';
import type { SandboxOptions } from './open.ts';
import { probe } from './probe.ts';
import type { Sandbox, SandboxRun } from './sandbox.ts';

/** Programs that builds commonly start with, and that are sometimes installed where steps do not look. */
const COMMON_PROGRAMS = ['node', 'npm', 'python3', 'go', 'cargo', 'java'];

/** @throws {Fault} SANDBOX_UNAVAILABLE with what the trial run said. */
export async function openBubblewrapSandbox(options: SandboxOptions, env: Env): Promise<Sandbox> {
  const bwrap = findProgram('bwrap');
  if (bwrap === undefined) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'the program bwrap is missing', { hint: 'Install the package bubblewrap.' });
  }
  checkReadOnlyPaths(options.readOnlyPaths);
  await using undo = new AsyncDisposableStack();
  await removeTree(options.dir);
  mkdirSync(options.dir, { recursive: true });
  const { cgroups, reason } = openCgroups();
  if (cgroups !== undefined) undo.use(cgroups);
  const spawner = undo.use(await openSpawner({ marker: undefined, cgroups: cgroups?.directories ?? [], scratch: options.dir }, env));
  const host: AttemptHost = { spawner, cgroups, dir: options.dir, pidsCountMax: PIDS_COUNT_MAX, marker: undefined, env };
  const etc = join(options.dir, 'etc');
  makeStepEtc(etc);
  const base = {
    bwrap,
    unshare: findProgram('unshare'),
    readOnlyPaths: options.readOnlyPaths,
    etc,
    systemBinds: systemBinds(),
    kernelSettingsBinds: kernelSettingsBinds(),
  };
  const runner = (settings: BubblewrapOptions) => (spec: SandboxRun, signal: AbortSignal) =>
    runAttempt(host, spec, signal, (scratch) => bubblewrapPlan(settings, spec, scratch));

  const failure = await probe(join(options.dir, 'probe'), { command: ['true'], network: false }, runner({ ...base, overlays: undefined }));
  if (failure !== undefined) throw new Fault('SANDBOX_UNAVAILABLE', failure);
  const overlays = await findOverlays(options.dir, base, runner);
  const limits = limitTraits(cgroups, reason);
  const traits: readonly SandboxTrait[] = ['isolatesFiles', 'isolatesNetwork', 'isolatesProcesses', ...limits.traits];
  const missing = [...limits.missing, ...unseenPrograms(options)];
  const owned = undo.move();
  return {
    name: 'bubblewrap',
    traits,
    missing,
    canBind: overlays !== undefined,
    run: runner({ ...base, overlays }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Tries to change a file in a bound directory, which must not change the directory. */
async function findOverlays(
  dir: string,
  base: Omit<BubblewrapOptions, 'overlays'>,
  runner: (settings: BubblewrapOptions) => Sandbox['run'],
): Promise<OverlayMode | undefined> {
  if (base.unshare === undefined) return undefined;
  const bindFrom = join(dir, 'overlay-probe');
  mkdirSync(bindFrom);
  writeFileSync(join(bindFrom, 'file'), 'as it was\n');
  const command = ['sh', '-c', 'grep -q "as it was" bound/file && echo changed >bound/file && mkdir bound/new && rm bound/file'];
  try {
    for (const mode of ['root', 'user-namespace'] as const) {
      const failure = await probe(join(dir, 'probe'), { command, network: false, bindFrom }, runner({ ...base, overlays: mode }));
      if (failure === undefined && existsSync(join(bindFrom, 'file')) && !existsSync(join(bindFrom, 'new'))) return mode;
    }
    return undefined;
  } finally {
    await removeTree(bindFrom);
  }
}

function checkReadOnlyPaths(paths: readonly string[]): void {
  for (const path of paths) {
    if (!isAbsolute(path) || !existsSync(path)) {
      throw new Fault('CONFIG_INVALID', `The sandbox path ${path} must be absolute and exist`, { field: 'sandbox-path' });
    }
  }
}

function unseenPrograms(options: SandboxOptions): readonly string[] {
  return COMMON_PROGRAMS.flatMap((name) => {
    const paths = findPrograms(name, options.hostPath);
    if (paths.length === 0 || paths.some((path) => isVisible(path, options.readOnlyPaths))) return [];
    return [`${name} is at ${paths[0]}, which steps do not see: name its directory as a sandbox path if they need it.`];
  });
}
