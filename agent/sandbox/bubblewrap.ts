import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { INNERMOST, withVariables, type AttemptPlan, type Scratch } from './attempt.ts';
import { resolverBinds } from './host-files.ts';
import { inOverlay, type OverlayMode } from './overlay.ts';
import type { SandboxRun } from './sandbox.ts';
import { stepEnv } from './step-env.ts';

/** Where the input root appears: the same everywhere, so that results do not depend on the host's paths. */
export const INSIDE_ROOT = '/build';
const INSIDE_HOME = '/home/step';
const INSIDE_USER_ID = '1000';

/** Names that a shell passes on. */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

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
    command: spec.binds.length === 0 ? command : withOverlays(options, spec, command),
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

/** Overlays are mounted in a mount namespace that only this attempt sees; bubblewrap then takes the root with what is mounted there. */
function withOverlays(options: BubblewrapOptions, spec: SandboxRun, command: readonly string[]): readonly string[] {
  if (options.unshare === undefined || options.overlays === undefined) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'This sandbox cannot bind directories: overlays do not work here');
  }
  return inOverlay({ unshare: options.unshare, mode: options.overlays }, spec.root, spec.binds, command);
}
