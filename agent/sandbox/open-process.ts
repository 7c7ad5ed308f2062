import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { runAttempt, type AttemptHost } from './attempt.ts';
import { limitTraits } from './limits.ts';
import { openAttemptHost } from './open-host.ts';
import type { SandboxOptions } from './open.ts';
import { probe } from './probe.ts';
import { findProcessTools, processPlan, NO_NAMESPACES, type Namespaces, type ProcessTools } from './process.ts';
import type { Sandbox, SandboxRun } from './sandbox.ts';

/** `known` are sentences for `missing` that the caller has already. @throws {Fault} SANDBOX_UNAVAILABLE */
export async function openProcessSandbox(options: SandboxOptions, known: readonly string[], env: Env): Promise<Sandbox> {
  const tools = findProcessTools();
  await using undo = new AsyncDisposableStack();
  const { host, reason } = await openAttemptHost(options.dir, `SWITCHYARD_ATTEMPT=${crypto.randomUUID()}`, env, undo);
  const { cgroups } = host;
  const runner = (namespaces: Namespaces, needsMarker: boolean) => {
    const own: AttemptHost = { ...host, marker: needsMarker ? host.marker : undefined };
    return (spec: SandboxRun, signal: AbortSignal) =>
      runAttempt(own, spec, signal, (scratch) => processPlan(tools, namespaces, spec, scratch));
  };
  const namespaces = await findNamespaces(options.dir, tools, (candidate) => runner(candidate, false));
  const limits = limitTraits(cgroups, reason);
  const traits: readonly SandboxTrait[] = [
    ...(namespaces.network ? (['isolatesNetwork'] as const) : []),
    ...(namespaces.pid ? (['isolatesProcesses'] as const) : []),
    ...limits.traits,
  ];
  const missing = [
    ...(known.length > 0 ? known : ['isolatesFiles: steps in the process sandbox see the files of the host.']),
    ...missingNamespaces(namespaces, tools, cgroups !== undefined),
    ...limits.missing,
  ];
  const owned = undo.move();
  return {
    name: 'process',
    traits,
    missing,
    overlays: undefined,
    // A variable that differs from attempt to attempt could end up in an output: only where nothing else finds the processes.
    run: runner(namespaces, !namespaces.pid && cgroups === undefined),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function findNamespaces(dir: string, tools: ProcessTools, runner: (namespaces: Namespaces) => Sandbox['run']): Promise<Namespaces> {
  if (tools.unshare === undefined || tools.setpriv === undefined) return NO_NAMESPACES;
  const works = async (namespaces: Namespaces) =>
    (await probe(join(dir, 'probe'), { command: ['true'], network: false }, runner(namespaces))) === undefined;
  for (const user of [false, true]) {
    const pid = await works({ pid: true, network: false, user });
    const network = tools.ip !== undefined && (await works({ pid: false, network: true, user }));
    if (pid || network) return { pid, network, user };
  }
  return NO_NAMESPACES;
}

function missingNamespaces(namespaces: Namespaces, tools: ProcessTools, hasCgroups: boolean): readonly string[] {
  const denied = 'the host does not let this user make namespaces';
  const unshare = tools.unshare === undefined || tools.setpriv === undefined ? 'unshare or setpriv (util-linux) is missing' : denied;
  const sentences: string[] = [];
  if (!namespaces.network) {
    const why = tools.ip === undefined ? 'the program ip (iproute2) is missing' : unshare;
    sentences.push(`isolatesNetwork: ${why}; steps reach the network even where they should not.`);
  }
  if (!namespaces.pid) {
    const how = hasCgroups ? 'by their control group' : 'by a variable in their environment, which a process can clear';
    sentences.push(`isolatesProcesses: ${unshare}; leftover processes of a step are found ${how}.`);
  }
  return sentences;
}
