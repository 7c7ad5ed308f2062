import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { findProgram } from '../spawn/tools.ts';
import { quoteAll } from '../spawn/words.ts';
import { INNERMOST, withVariables, type AttemptPlan, type Scratch } from './attempt.ts';
import type { SandboxRun } from './sandbox.ts';
import { stepEnv } from './step-env.ts';

/** The host's programs that this sandbox is made of. */
export type ProcessTools = {
  readonly setsid: string;
  readonly env: string;
  readonly setpriv: string | undefined;
  readonly unshare: string | undefined;
  readonly ip: string | undefined;
};

/** Which namespaces of its own a step gets, as far as they were found to work here. */
export type Namespaces = {
  readonly pid: boolean;
  readonly network: boolean;
  /** Through a user namespace (an ordinary user), or by the agent's own right (root). */
  readonly user: boolean;
};

export const NO_NAMESPACES: Namespaces = { pid: false, network: false, user: false };

/** @throws {Fault} SANDBOX_UNAVAILABLE naming the program that is missing. */
export function findProcessTools(): ProcessTools {
  const need = (name: string, from: string) => {
    const path = findProgram(name);
    if (path === undefined) throw new Fault('SANDBOX_UNAVAILABLE', `The program ${name} is missing`, { hint: `Install ${from}.` });
    return path;
  };
  return {
    setsid: need('setsid', 'util-linux'),
    env: need('env', 'coreutils'),
    setpriv: findProgram('setpriv'),
    unshare: findProgram('unshare'),
    ip: findProgram('ip'),
  };
}

/**
 * How a step runs as a plain process of the agent's user: own session and process group, exactly the declared
 * variables, HOME and TMPDIR of its own; with what the host allows: own pid and network namespaces, no capabilities.
 * It sees the host's files. An address-space limit is not used for memory: runtimes that reserve far more than they use
 * (V8, Go, the JVM) would not start.
 */
export function processPlan(tools: ProcessTools, namespaces: Namespaces, spec: SandboxRun, scratch: Scratch): AttemptPlan {
  const tmp = join(scratch.directory, 'tmp');
  mkdirSync(tmp, { mode: 0o700 });
  const env = stepEnv(spec.env, { home: scratch.home, tmp, pathPrefix: [] });
  // Descriptor 3 tells that everything before the step's command worked, and is closed before the command starts.
  const envWords = [tools.env, '-i', ...(scratch.marker === undefined ? [] : [scratch.marker])];
  const inner = ['/bin/sh', '-c', `echo reached >&3 && exec 3>&- && ${INNERMOST}`, 'sh'];
  const step = [tools.setsid, ...inner, ...withVariables(envWords, Object.entries(env), spec.command)];
  return {
    command: inNamespaces(tools, { ...namespaces, network: namespaces.network && !spec.network }, step),
    reached: (status) => status.includes('reached'),
    directory: join(spec.root, spec.workingDirectory),
    namespaced: namespaces.pid,
    // `unshare --fork` ends after the namespace's first process has, which takes all others with it.
    namespaceInit: () => undefined,
  };
}

function inNamespaces(tools: ProcessTools, namespaces: Namespaces, step: readonly string[]): readonly string[] {
  const { unshare, setpriv, ip } = tools;
  if (!namespaces.pid && !namespaces.network) return setpriv === undefined ? step : [setpriv, '--pdeathsig', 'KILL', '--', ...step];
  if (unshare === undefined || setpriv === undefined) throw new Fault('SANDBOX_UNAVAILABLE', 'unshare and setpriv are missing');
  const flags = [
    ...(namespaces.user ? ['--user', '--map-current-user', '--keep-caps'] : []),
    ...(namespaces.network ? ['--net'] : []),
    ...(namespaces.pid ? ['--pid', '--fork', '--kill-child=KILL', '--mount-proc'] : []),
  ];
  const drop = [setpriv, '--ambient-caps=-all', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--', ...step];
  const loopback = namespaces.network && ip !== undefined ? `${quoteAll([ip, 'link', 'set', 'lo', 'up'])} || exit 125; ` : '';
  // The namespace's first process must be one that outlives the step's own and reaps; its remarks on signals are not the step's.
  const script = namespaces.pid ? `${loopback}exec 4>&2 2>/dev/null; "$@" 2>&4 4>&-; exit $?` : `${loopback}exec "$@"`;
  const unshared = [unshare, ...flags, '--', '/bin/sh', '-c', script, 'sh', ...drop];
  return [setpriv, '--pdeathsig', 'KILL', '--', ...unshared];
}
