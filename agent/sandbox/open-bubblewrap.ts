import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { findProgram, findPrograms } from '../spawn/tools.ts';
import { removeTree } from '../workspace/remove.ts';
import { runAttempt } from './attempt.ts';
import { bubblewrapPlan, type BubblewrapOptions } from './bubblewrap.ts';
import { isVisible, kernelSettingsBinds, makeStepEtc, systemBinds } from './host-files.ts';
import { limitTraits } from './limits.ts';
import { openAttemptHost } from './open-host.ts';
import type { SandboxOptions } from './open.ts';
import { openOverlays, type OverlayMode } from './overlay.ts';
import { probe } from './probe.ts';
import type { Overlays, Sandbox, SandboxRun } from './sandbox.ts';

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
  const { host, reason } = await openAttemptHost(options.dir, undefined, env, undo);
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
  const found = await findOverlays(options.dir, base, runner);
  const limits = limitTraits(host.cgroups, reason);
  const traits: readonly SandboxTrait[] = ['isolatesFiles', 'isolatesNetwork', 'isolatesProcesses', ...limits.traits];
  const missing = [...limits.missing, ...(found.mode === undefined ? [found.reason] : []), ...unseenPrograms(options)];
  const owned = undo.move();
  return {
    name: 'bubblewrap',
    traits,
    missing,
    overlays: found.mode === undefined ? undefined : found.overlays,
    run: runner({ ...base, overlays: found.mode }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type FoundOverlays = { readonly mode: OverlayMode; readonly overlays: Overlays } | { readonly mode: undefined; readonly reason: string };

const PROBED = 'bound/kept';

/** Tries to change a bound directory: it must stay as it was, and what was made and removed must be told afterwards. */
async function findOverlays(
  dir: string,
  base: Omit<BubblewrapOptions, 'overlays'>,
  runner: (settings: BubblewrapOptions) => Sandbox['run'],
): Promise<FoundOverlays> {
  const { unshare } = base;
  const without = (why: string) => ({
    mode: undefined,
    reason: `overlays: ${why}; large inputs and caches are copied for each step, which takes seconds where a mount takes milliseconds.`,
  });
  if (unshare === undefined) return without('the program unshare (util-linux) is missing');
  const bindFrom = join(dir, 'overlay-probe', 'bound');
  const command = [
    'sh',
    '-c',
    `grep -q "as it was" ${PROBED} && echo changed >${PROBED} && rm -r bound/gone && mkdir bound/gone && echo new >bound/gone/new`,
  ];
  let failure: string | undefined;
  try {
    for (const mode of ['root', 'user-namespace'] as const) {
      mkdirSync(join(bindFrom, 'gone'), { recursive: true });
      for (const file of ['kept', 'gone/file']) writeFileSync(join(bindFrom, file), 'as it was\n');
      const overlays = openOverlays({ unshare, mode });
      const told = async (root: string) => {
        const never = new AbortController().signal;
        const paths = [PROBED, 'bound/gone/new', 'bound/gone/file'];
        const there = await overlays.present(root, [{ from: bindFrom, to: 'bound' }], paths, never);
        return there.join() === 'true,true,false' ? undefined : 'what a step removed is not told';
      };
      failure = await probe(join(dir, 'probe'), { command, network: false, bindFrom, after: told }, runner({ ...base, overlays: mode }));
      if (
        failure === undefined &&
        readFileSync(join(bindFrom, 'kept'), 'utf8') === 'as it was\n' &&
        existsSync(join(bindFrom, 'gone/file'))
      )
        return { mode, overlays };
    }
    return without(`the host does not let this user mount them (${failure ?? 'a bound directory was changed'})`);
  } finally {
    await removeTree(join(dir, 'overlay-probe'));
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
