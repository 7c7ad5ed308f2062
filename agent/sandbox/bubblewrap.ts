import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { quoteAll } from '../spawn/words.ts';
import { INNERMOST, withVariables, type AttemptPlan, type Scratch } from './attempt.ts';
import { resolverBinds } from './host-files.ts';
import type { Bind, SandboxRun } from './sandbox.ts';
import { stepEnv } from './step-env.ts';

/** Where the input root appears: the same everywhere, so that results do not depend on the host's paths. */
export const INSIDE_ROOT = '/build';
const INSIDE_HOME = '/home/step';
const INSIDE_USER_ID = '1000';

/** Names that a shell passes on. */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** How overlays are mounted: by the agent's own right, or inside a user namespace. */
export type OverlayMode = 'root' | 'user-namespace';

export type BubblewrapOptions = {
  /** The program. */
  readonly bwrap: string;
  readonly unshare: string | undefined;
  /** Undefined where overlays do not work here: then there are no binds. */
  readonly overlays: OverlayMode | undefined;
  /** Further host paths that steps see, read-only and at the same place; `<path>/bin` comes first on their PATH. */
  readonly readOnlyPaths: readonly string[];
  /** The directory that steps see as /etc, as `makeStepEtc` makes it. */
  readonly etc: string;
  /** What `systemBinds` found. */
  readonly systemBinds: readonly string[];
  /** What `kernelSettingsBinds` found. */
  readonly kernelSettingsBinds: readonly string[];
};

/**
 * How a step runs under bubblewrap: own mount, pid, network, IPC, UTS and user namespaces; a read-only base system, no
 * other file of the host; the input root writable at `/build`, HOME at `/home/step`, a private `/tmp`; no capabilities;
 * its own session; everything dies with the launcher.
 */
export function bubblewrapPlan(options: BubblewrapOptions, spec: SandboxRun, scratch: Scratch): AttemptPlan {
  const variables = Object.entries(variablesOf(options, spec));
  const plain = variables.filter(([name]) => SHELL_NAME.test(name));
  const odd = variables.filter(([name]) => !SHELL_NAME.test(name));
  const inner = odd.length === 0 ? spec.command : withVariables(['env'], odd, spec.command);
  const bwrap = [
    options.bwrap,
    ...isolation(spec),
    ...files(options, spec, scratch),
    '--clearenv',
    ...plain.flatMap(([name, value]) => ['--setenv', name, value]),
  ];
  const command = [...bwrap, '--json-status-fd', '3', '--', '/bin/sh', '-c', INNERMOST, 'sh', ...inner];
  return {
    command: spec.binds.length === 0 ? command : withOverlays(options, spec, scratch, command),
    directory: '/',
    namespaced: true,
    // Bubblewrap tells an exit code only of a command that it started: without one, it could not, or was killed by others.
    reached: (status) => status.includes('"exit-code"'),
    namespaceInit: (status) => {
      const pid = /"child-pid": ([0-9]+)/.exec(status)?.[1];
      const namespace = /"pid-namespace": ([0-9]+)/.exec(status)?.[1];
      return pid === undefined ? undefined : { pid: Number(pid), namespace };
    },
  };
}

function isolation(spec: SandboxRun): readonly string[] {
  return [
    ...['--unshare-user', '--unshare-all', ...(spec.network ? ['--share-net'] : [])],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...['--uid', INSIDE_USER_ID, '--gid', INSIDE_USER_ID, '--hostname', 'step'],
  ];
}

function files(options: BubblewrapOptions, spec: SandboxRun, scratch: Scratch): readonly string[] {
  return [
    ...[...options.systemBinds, '--ro-bind', options.etc, '/etc', ...(spec.network ? resolverBinds() : [])],
    ...options.readOnlyPaths.flatMap((path) => ['--ro-bind', path, path]),
    ...['--proc', '/proc', ...options.kernelSettingsBinds, '--dev', '/dev', '--tmpfs', '/tmp', '--symlink', '/tmp', '/var/tmp'],
    ...['--bind', scratch.home, INSIDE_HOME],
    ...['--bind', spec.root, INSIDE_ROOT, '--chdir', join(INSIDE_ROOT, spec.workingDirectory)],
    ...['--remount-ro', '/'],
  ];
}

function variablesOf(options: BubblewrapOptions, spec: SandboxRun): Readonly<Record<string, string>> {
  const pathPrefix = options.readOnlyPaths.map((path) => join(path, 'bin')).filter((path) => existsSync(path));
  return stepEnv(spec.env, { home: INSIDE_HOME, tmp: '/tmp', pathPrefix });
}

/**
 * Mounts, in a mount namespace that only this attempt sees, an overlay of each bind's directory at its place in the
 * input root, with writes going to the scratch directory; then bubblewrap takes the root with everything mounted in it.
 */
function withOverlays(options: BubblewrapOptions, spec: SandboxRun, scratch: Scratch, command: readonly string[]): readonly string[] {
  if (options.unshare === undefined || options.overlays === undefined) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'This sandbox cannot bind directories: overlays do not work here');
  }
  const mounts = spec.binds.map((bind, index) => overlayMount(bind, join(scratch.directory, `bind-${index}`), spec.root, options.overlays));
  const script = [...mounts, 'exec "$@"'].join(' && ');
  const user = options.overlays === 'user-namespace' ? ['--user', '--map-root-user'] : [];
  return [options.unshare, ...user, '--mount', '--', '/bin/sh', '-c', script, 'sh', ...command];
}

function overlayMount(bind: Bind, writes: string, root: string, mode: OverlayMode | undefined): string {
  const upper = join(writes, 'upper');
  const work = join(writes, 'work');
  for (const path of [upper, work]) mkdirSync(path, { recursive: true });
  for (const path of [bind.from, upper, work]) {
    // These separate the options of a mount, and no way of quoting them works everywhere.
    if (/[,:\\]/.test(path)) throw new Fault('SANDBOX_UNAVAILABLE', `Cannot bind ${path}: "," ":" and "\\" do not work in its path`);
  }
  const extra = mode === 'user-namespace' ? ',userxattr' : '';
  const fileSystem = ['mount', '-t', 'overlay', '-o', `lowerdir=${bind.from},upperdir=${upper},workdir=${work}${extra}`];
  return quoteAll([...fileSystem, 'overlay', join(root, bind.to)]);
}
